import NIOConcurrencyHelpers
import PrustCore
import PrustStorage
import Synchronization

/// The log's thread: makes what waits durable, group by group.
extension Engine {
    private static let indexRecoveryPauseNanoseconds: Int64 = 10_000_000_000

    /// Runs until ``stop()``; to be called on a thread of its own.
    package func runLog() {
        var log: SegmentLog?
        var backoff = 0
        var lastIndexRecovery = MonotonicInstant(nanoseconds: -Self.indexRecoveryPauseNanoseconds)
        Clocks.sharpenPauses()
        while true {
            if log == nil {
                self.queue.heartbeat.wrappingAdd(1, ordering: .relaxed)
                log = self.makeLog()
                if log == nil {
                    if self.isStopping.load(ordering: .relaxed) { return }
                    backoff = min(backoff + 1, 50)
                    Clocks.sleep(milliseconds: backoff * 100)
                    continue
                }
                backoff = 0
            }
            guard let open = log, let batch = self.queue.take() else { break }
            let start = Clocks.monotonic()
            let error = self.write(batch, to: open)
            let wasCongested = self.isCongested
            self.queue.recycle(
                batch,
                nanoseconds: Clocks.monotonic().nanoseconds - start.nanoseconds
            )
            // Sessions that wait for room have no other way to learn that there is some.
            if wasCongested { self.notifyListeners() }
            self.queue.heartbeat.wrappingAdd(1, ordering: .relaxed)
            if let error {
                log = nil
                self.recover(from: error, log: open)
            } else if let failure = self.storage?.index.failure,
                Clocks.monotonic().nanoseconds
                    > lastIndexRecovery.nanoseconds &+ Self.indexRecoveryPauseNanoseconds
            {
                // An index that has stopped is opened again, or made anew from the segments; if
                // that does not help, serving from memory goes on for a while in between.
                lastIndexRecovery = Clocks.monotonic()
                log = nil
                self.recover(from: .index(failure), log: open)
            }
        }
        try? log?.close()
    }

    /// The log of the open storage; opens the storage first if it is not, as after a failure.
    private func makeLog() -> SegmentLog? {
        do throws(StorageError) {
            if self.storage == nil { try self.openStorage() }
            guard let storage = self.storage else { return nil }
            let log = try storage.makeLog()
            let spare = log.spare
            let position = log.durablePosition
            let isSwept = storage.index.position == position
            let tailByteCount = isSwept ? 0 : Int(clamping: storage.report.byteCount)
            self.shared.withLock { shared in
                shared.spare = spare
                shared.tailByteCount = tailByteCount
                // Everything that recovery put into memory lies before this place.
                shared.assigned.position = position
            }
            if self.state == .recovering { self.setState(.serving, reason: "") }
            return log
        } catch {
            self.setState(.recovering, reason: "\(error)")
            return nil
        }
    }

    private func write(_ batch: PendingBatch, to log: SegmentLog) -> StorageError? {
        var first = 0
        var locations: [Location] = []
        locations.reserveCapacity(batch.items.count)
        do throws(StorageError) {
            for (index, item) in batch.items.enumerated() {
                let fields = RecordFields(
                    version: item.version,
                    expiresAt: item.expiresAt,
                    writtenAt: item.writtenAt,
                    isTombstone: item.isTombstone
                )
                let key = batch.key(of: item)
                let value = batch.value(of: item)
                var location = try log.append(fields, key: key, value: value)
                if location == nil {
                    try self.commit(log, batch, first..<index, locations)
                    locations.removeAll(keepingCapacity: true)
                    first = index
                    location = try log.append(fields, key: key, value: value)
                }
                guard let location else { throw .failed("a record does not fit an empty group") }
                locations.append(location)
            }
            try self.commit(log, batch, first..<batch.items.count, locations)
            return nil
        } catch {
            return error
        }
    }

    private func commit(
        _ log: SegmentLog,
        _ batch: PendingBatch,
        _ range: Range<Int>,
        _ locations: [Location]
    ) throws(StorageError) {
        guard let last = range.last else { return }
        let byteCount = log.groupByteCount
        let start = Clocks.monotonic()
        try log.commit()
        let end = Clocks.monotonic()
        let sequence = batch.items[last].sequence
        self.durableSequence.store(sequence, ordering: .releasing)
        self.notifyListeners()
        let kept = self.options.cacheByteCount / self.stripes.count / 8
        for (offset, location) in locations.enumerated() {
            let item = batch.items[range.lowerBound + offset]
            self.stripes[Int(item.stripe)].withTable { table in
                table.assign(
                    location,
                    to: Int(item.entry),
                    sequence: item.sequence,
                    keptByteCountMax: kept
                )
            }
        }
        // Not only between two sweeps: one can take longer than it takes to fill the memory.
        self.noteMemoryUse()
        let position = log.durablePosition
        let counters = log.counters
        let observer = self.shared.withLock { shared in
            shared.assigned = (sequence, position)
            shared.tailByteCount += byteCount
            shared.counters = counters
            return shared.observer
        }
        observer?.groupCommitted(
            recordCount: range.count,
            byteCount: byteCount,
            nanoseconds: UInt64(end.nanoseconds - start.nanoseconds)
        )
    }

    private func recover(from error: StorageError, log: SegmentLog) {
        var outcome = LogFailure.Outcome.unknown
        var isFull = false
        var isLogFailure = true
        switch error {
        case .full: (outcome, isFull) = (.notApplied, true)
        // What waits has not been written.
        case .index: (outcome, isLogFailure) = (.notApplied, false)
        default: break
        }
        try? log.close()
        do throws(StorageError) {
            try self.reopen(
                after: "\(error)",
                outcome: outcome,
                isLogFailure: isLogFailure
            )
            if isFull { self.setState(.diskFull, reason: "\(error)") }
        } catch {
            // The storage stays closed; the next turn of the log's thread tries again.
            self.setState(.recovering, reason: "\(error)")
        }
    }

    /// Ends the log's thread once everything that waits is durable.
    package func stop() {
        self.isStopping.store(true, ordering: .relaxed)
        self.queue.close()
        self.sweepSignal.lock()
        self.sweepSignal.unlock(withValue: true)
    }

    /// Closes the storage; after ``stop()`` and the end of both threads.
    package func close() {
        self.setState(.stopped, reason: "stopped")
        self.storage?.close()
        self.shared.withLock { shared in
            shared.storage = nil
            shared.lock = nil
        }
    }
}
