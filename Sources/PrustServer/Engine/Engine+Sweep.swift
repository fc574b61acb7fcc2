import NIOConcurrencyHelpers
import PrustCore
import PrustStorage
import Synchronization

/// The maintenance thread: moves dirty records into the index and keeps an eye on the disk.
extension Engine {
    /// Free space above which a disk counts as full no longer.
    private static let freeByteCountMin: UInt64 = 64 * 1024 * 1024

    /// Runs until ``stop()``, then sweeps once more, so that the next start has nothing to replay.
    package func runMaintenance() {
        while !self.isStopping.load(ordering: .relaxed) {
            if self.sweepSignal.lock(whenValue: true, timeoutSeconds: 0.2) {
                self.sweepSignal.unlock(withValue: false)
            }
            if self.isSweepDue { self.sweep() }
            let spare = self.shared.withLock { $0.spare }
            if let spare, spare.isWanted { try? spare.prepare() }
            if self.state == .diskFull { self.probeDisk() }
        }
    }

    package struct MemoryUse: Sendable {
        package var dirtyCount = 0
        package var dirtyByteCount = 0
        package var cleanCount = 0
        package var cleanByteCount = 0
        package var evictionCount: UInt64 = 0
        package var liveDelta = 0
        package var unknownBaseCount = 0
    }

    package var memoryUse: MemoryUse {
        var use = MemoryUse()
        for stripe in self.stripes {
            stripe.withTable { table in
                use.dirtyCount += table.dirtyCount
                use.dirtyByteCount += table.dirtyByteCount
                use.cleanCount += table.cleanCount
                use.cleanByteCount += table.cleanByteCount
                use.evictionCount += table.evictionCount
                use.liveDelta += table.liveDelta
                use.unknownBaseCount += table.unknownBaseCount
            }
        }
        return use
    }

    /// Lets sessions see how large the memtable is; wakes those that wait for it to shrink.
    @discardableResult
    func noteMemoryUse() -> MemoryUse {
        let wasCongested = self.isCongested
        let use = self.memoryUse
        self.dirtyByteCount.store(use.dirtyByteCount, ordering: .relaxed)
        if wasCongested, !self.isCongested { self.notifyListeners() }
        return use
    }

    private var isSweepDue: Bool {
        let use = self.noteMemoryUse()
        let tailByteCount = self.shared.withLock { $0.tailByteCount }
        return use.dirtyCount >= self.options.sweepEntryCount
            || use.dirtyByteCount >= self.options.sweepByteCount
            || tailByteCount >= self.options.tailByteCountMax
    }

    /// Puts all dirty records that are durable into the index and makes them clean.
    package func sweep() {
        self.maintenance.withLock { _ in self.sweepAlone() }
    }

    private func sweepAlone() {
        guard let storage = self.storage else { return }
        let (through, position, tailByteCount) = self.shared.withLock { shared in
            (shared.assigned.sequence, shared.assigned.position, shared.tailByteCount)
        }
        let start = Clocks.monotonic()
        let kept = self.options.cacheByteCount / self.stripes.count
        var count = 0
        var newestPassed: UInt64 = 0
        var isWhole = false
        do throws(IndexError) {
            for stripe in self.stripes {
                // Whoever opens the storage again waits for the end of this.
                guard self.state != .recovering else { return }
                let (entries, passed) = Self.collect(stripe, through: through)
                count += entries.count
                newestPassed = max(newestPassed, passed)
                if stripe.index == self.stripes.count - 1 {
                    isWhole = self.isDurableSoon(newestPassed)
                }
                try storage.index.apply(entries, position: position, isFinal: isWhole)
                for partition in stripe.partitions {
                    stripe.markSwept(
                        partition: partition,
                        through: through,
                        cleanByteCountMax: kept
                    )
                }
                self.noteMemoryUse()
            }
        } catch {
            self.observer?.sweepFailed(reason: "\(error)")
            if storage.index.failure != nil { self.queue.interrupt() }
            return
        }
        if isWhole { self.shared.withLock { $0.tailByteCount -= tailByteCount } }
        self.sweepCount.wrappingAdd(1, ordering: .relaxed)
        let end = Clocks.monotonic()
        self.observer?.swept(
            recordCount: count,
            nanoseconds: UInt64(end.nanoseconds - start.nanoseconds)
        )
    }

    /// The durable dirty records of a stripe, and the newest record that is left for another time.
    private static func collect(
        _ stripe: Stripe,
        through: UInt64
    ) -> (entries: [IndexEntry], passed: UInt64) {
        var records: [EntryTable.Swept] = []
        var newestPassed: UInt64 = 0
        for partition in stripe.partitions {
            let passed = stripe.withTable { table in
                table.collectDirty(partition: partition, through: through, into: &records)
            }
            newestPassed = max(newestPassed, passed)
        }
        let entries = records.map { record in
            IndexEntry(
                keyID: record.keyID,
                location: record.location,
                version: record.version,
                expiresAt: record.expiresAt,
                isTombstone: record.isTombstone
            )
        }
        return (entries, newestPassed)
    }

    /// Waits a moment until a record is durable; false if it is not by then.
    ///
    /// A record that was passed over hides the one before it of its key, which may be acknowledged
    /// and is not in the index: the index's position may go beyond that one only once the log
    /// has the newer. If it does not, the next sweep moves the position.
    private func isDurableSoon(_ sequence: UInt64) -> Bool {
        var pauseCount = 0
        while self.durable < sequence, pauseCount < 100, self.state != .recovering {
            Clocks.sleep(milliseconds: 1)
            pauseCount += 1
        }
        return self.durable >= sequence
    }

    private func probeDisk() {
        guard let storage = self.storage, let free = try? storage.freeByteCount() else { return }
        if free >= Self.freeByteCountMin { self.endDiskFull() }
    }
}
