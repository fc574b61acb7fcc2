package import Synchronization

/// How often values fell into each of a fixed set of buckets, and their sum.
///
/// Recording takes two relaxed atomic additions, no lock and no memory. The count is the sum of the
/// buckets, so that a reader never sees a bucket larger than the count.
package final class Histogram: Sendable {
    /// Words from one shard to the next: 28 buckets at most, a sum, and 88 bytes of gap.
    @usableFromInline static let stride = 40
    @usableFromInline static let sumOffset = ShardLayout.offset + 28
    @usableFromInline let cells: InlineArray<320, Atomic<UInt64>>

    package let scale: HistogramScale

    package init(scale: HistogramScale) {
        precondition(Self.stride * ShardLayout.shardCount == 320 && scale.bucketCount < 28)
        self.scale = scale
        self.cells = InlineArray { _ in Atomic(0) }
    }

    /// Records a size or a count, `count` times at once; `shard` may be any integer.
    @inlinable
    package func record(_ value: UInt64, count: UInt64 = 1, shard: Int = 0) {
        let base = ShardLayout.shard(of: shard) &* Self.stride
        let bucket = base &+ ShardLayout.offset &+ self.scale.bucket(of: value)
        self.cells[bucket].wrappingAdd(count, ordering: .relaxed)
        self.cells[base &+ Self.sumOffset].wrappingAdd(value &* count, ordering: .relaxed)
    }

    /// Records a duration in a histogram of the scale `.seconds`.
    @inlinable
    package func record(nanoseconds: UInt64, count: UInt64 = 1, shard: Int = 0) {
        self.record(nanoseconds, count: count, shard: shard)
    }

    /// The state of all shards together.
    package func snapshot() -> HistogramSnapshot {
        var counts = [UInt64](repeating: 0, count: self.scale.bucketCount + 1)
        var sum: UInt64 = 0
        for shard in 0..<ShardLayout.shardCount {
            let base = shard * Self.stride
            for bucket in counts.indices {
                let index = base + ShardLayout.offset + bucket
                counts[bucket] &+= self.cells[index].load(ordering: .relaxed)
            }
            sum &+= self.cells[base + Self.sumOffset].load(ordering: .relaxed)
        }
        return HistogramSnapshot(scale: self.scale, counts: counts, sum: sum)
    }
}
