import NIOConcurrencyHelpers
import PrustCore
import PrustStorage
import Synchronization

/// The maintenance thread: moves dirty records into the index and keeps an eye on the disk.
extension Engine {
    private static let tailByteCountMax: UInt64 = 256 * 1024 * 1024
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
    private func noteMemoryUse() -> MemoryUse {
        let wasCongested = self.isCongested
        let use = self.memoryUse
        self.dirtyByteCount.store(use.dirtyByteCount, ordering: .relaxed)
        if wasCongested, !self.isCongested { self.notifyListeners() }
        return use
    }

    private var isSweepDue: Bool {
        let use = self.noteMemoryUse()
        return use.dirtyCount >= self.options.sweepEntryCount
            || use.dirtyByteCount >= self.options.sweepByteCount
    }

    /// Puts all dirty records that are durable into the index and makes them clean.
    package func sweep() {
        self.maintenance.lock()
        defer { self.maintenance.unlock() }
        guard let storage = self.storage else { return }
        let (through, position) = self.shared.withLock { $0.assigned }
        let start = Clocks.monotonic()
        let kept = self.options.cacheByteCount / self.stripes.count
        var count = 0
        do throws(IndexError) {
            for stripe in self.stripes {
                var records: [EntryTable.Swept] = []
                for partition in stripe.partitions {
                    stripe.withTable { table in
                        table.collectDirty(partition: partition, through: through, into: &records)
                    }
                }
                count += records.count
                let entries = records.map { record in
                    IndexEntry(
                        keyID: record.keyID,
                        location: record.location,
                        version: record.version,
                        expiresAt: record.expiresAt,
                        isTombstone: record.isTombstone
                    )
                }
                let isLast = stripe.index == self.stripes.count - 1
                try storage.index.apply(entries, position: position, isFinal: isLast)
                for partition in stripe.partitions {
                    stripe.markSwept(
                        partition: partition,
                        through: through,
                        cleanByteCountMax: kept
                    )
                }
            }
        } catch {
            self.observer?.sweepFailed(reason: "\(error)")
            if storage.index.failure != nil { self.queue.interrupt() }
            return
        }
        self.sweepCount.wrappingAdd(1, ordering: .relaxed)
        let end = Clocks.monotonic()
        self.observer?.swept(
            recordCount: count,
            nanoseconds: UInt64(end.nanoseconds - start.nanoseconds)
        )
    }

    private func probeDisk() {
        guard let storage = self.storage, let free = try? storage.freeByteCount() else { return }
        if free >= Self.freeByteCountMin { self.endDiskFull() }
    }
}
