/// How the cells of one metric are spread over memory.
///
/// A shard is picked by the index of the event loop that records. Two shards never touch the same
/// cache line: between the last cell of one and the first of the next lie at least 64 unused bytes,
/// and the first comes after 64 bytes of its own object. That holds whatever address the allocator
/// returns.
@usableFromInline
package enum ShardLayout {
    /// Shards of each metric, a power of two; loops beyond it share, which costs speed only.
    @usableFromInline package static let shardCount = 8
    /// Words in front of the cells of a shard.
    @usableFromInline package static let offset = 8

    /// The shard of a loop; every integer is allowed.
    @inlinable
    package static func shard(of index: Int) -> Int {
        index & (Self.shardCount - 1)
    }
}
