package import Synchronization

/// A number that only grows, such as commands served.
///
/// Adding takes one relaxed atomic instruction, no lock and no memory; it wraps after 2^64.
package final class Counter: Sendable {
    @usableFromInline static let stride = 16
    @usableFromInline let cells: InlineArray<128, Atomic<UInt64>>

    package init() {
        precondition(Self.stride * ShardLayout.shardCount == 128)
        self.cells = InlineArray { _ in Atomic(0) }
    }

    /// Adds to the shard of an event loop; `shard` may be any integer.
    @inlinable
    package func add(_ amount: UInt64 = 1, shard: Int = 0) {
        let index = ShardLayout.shard(of: shard) &* Self.stride &+ ShardLayout.offset
        self.cells[index].wrappingAdd(amount, ordering: .relaxed)
    }

    /// The sum of all shards.
    package var value: UInt64 {
        var sum: UInt64 = 0
        for shard in 0..<ShardLayout.shardCount {
            let index = shard * Self.stride + ShardLayout.offset
            sum &+= self.cells[index].load(ordering: .relaxed)
        }
        return sum
    }
}
