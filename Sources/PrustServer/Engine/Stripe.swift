import NIOConcurrencyHelpers
import PrustCore
import PrustStorage

/// A slice of the key space: a run of partitions with their records in memory, under one lock.
///
/// The lock is held for the few hundred nanoseconds of one command on one key, never across a
/// system call; that is cheaper than handing the command to a thread that owns the key.
final class Stripe: @unchecked Sendable {  // tidy:allow the table is touched under the lock only
    let index: Int
    let partitions: Range<Int>
    private let lock = NIOLock()
    private let table: EntryTable
    /// Grows with every sweep of this stripe: what was read from the index before may be old.
    private var sweepCount: UInt64 = 0

    init(index: Int, partitions: Range<Int>, partitionBitCount: Int, hashSeed: UInt64) {
        self.index = index
        self.partitions = partitions
        self.table = EntryTable(
            firstPartition: partitions.lowerBound,
            partitionCount: partitions.count,
            partitionBitCount: partitionBitCount,
            hashSeed: hashSeed
        )
    }

    @inline(__always)
    func withTable<Result>(_ body: (EntryTable) throws -> Result) rethrows -> Result {
        self.lock.lock()
        defer { self.lock.unlock() }
        return try body(self.table)
    }

    /// The number of sweeps so far.
    var generation: UInt64 {
        self.lock.withLock { self.sweepCount }
    }

    /// Runs `body` if no sweep came after `generation`; false if one did.
    func withTable(ifSweptNoLaterThan generation: UInt64, _ body: (EntryTable) -> Void) -> Bool {
        self.lock.withLock {
            guard self.sweepCount == generation else { return false }
            body(self.table)
            return true
        }
    }

    /// Forgets everything; what was read from the disk before must not come in any more.
    func reset() {
        self.lock.withLock {
            self.sweepCount += 1
            self.table.removeAll()
        }
    }

    func markSwept(partition: Int, through: UInt64, cleanByteCountMax: Int) {
        self.lock.withLock {
            self.sweepCount += 1
            self.table.markSwept(partition: partition, through: through)
            self.table.evict(toByteCount: cleanByteCountMax)
        }
    }
}
