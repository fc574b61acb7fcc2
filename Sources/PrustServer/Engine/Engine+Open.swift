import PrustCore
package import PrustStorage
import PrustTLS
import Synchronization

/// Opening, re-opening and closing the storage under the engine.
extension Engine {
    /// Opens the storage, replays the tail of the log and starts serving.
    package func open() throws(StorageError) {
        do throws(StorageError) {
            try self.openStorage()
        } catch {
            self.shared.withLock { $0.lock = nil }
            throw error
        }
        self.setState(.serving, reason: "")
    }

    var observer: (any EngineObserver)? { self.shared.withLock { $0.observer } }

    func setState(_ state: State, reason: String) {
        let old = self.stateCode.exchange(state.rawValue, ordering: .acquiringAndReleasing)
        let oldReason = self.shared.withLock { shared in
            let oldReason = shared.stateReason
            shared.stateReason = reason
            return oldReason
        }
        guard old != state.rawValue || oldReason != reason else { return }
        self.observer?.stateChanged(state, reason: reason)
    }

    /// Serves again, if a full disk is all that kept the node from it.
    func endDiskFull() {
        let (exchanged, _) = self.stateCode.compareExchange(
            expected: State.diskFull.rawValue,
            desired: State.serving.rawValue,
            ordering: .acquiringAndReleasing
        )
        guard exchanged else { return }
        self.shared.withLock { $0.stateReason = "" }
        self.observer?.stateChanged(.serving, reason: "")
    }

    package var stateReason: String { self.shared.withLock { $0.stateReason } }

    /// What is said of an answer that would mix what was before a re-opening with what came after.
    static let tryAgain = "the storage is being recovered: try again"

    /// Whether memory and `storage` have belonged together since the latter was fetched.
    func isCurrent(_ storage: Storage) -> Bool {
        // In this order: memory is forgotten after the first of them changes, before the second.
        self.state != .recovering && self.storage === storage
    }

    func openStorage() throws(StorageError) {
        // An opening that failed has left records here, and a load that was under way may have
        // brought in what the index of before said.
        for stripe in self.stripes { stripe.reset() }
        let start = Clocks.monotonic()
        var highest: UInt64 = 0
        let sequence = self.queue.last
        let observer = self.observer
        let storage = try Storage.open(
            directory: self.options.directory,
            fileSystem: self.fileSystem,
            options: self.options.storage,
            lock: self.shared.withLock { $0.lock },
            hash: { Crypto.keyID(of: $0) },
            progress: {
                // The log's thread may be the one that waits here.
                self.queue.heartbeat.wrappingAdd(1, ordering: .relaxed)
                observer?.recoveryProgress($0)
            },
            sink: { header, keyID, key, location in
                highest = max(highest, header.fields.writtenAt, header.fields.version.hlc)
                self.stripe(of: keyID).withTable { table in
                    _ = table.recover(
                        keyID,
                        key: key,
                        version: header.fields.version,
                        expiresAt: header.fields.expiresAt,
                        isTombstone: header.fields.isTombstone,
                        valueByteCount: header.valueByteCount,
                        sequence: sequence,
                        location: location
                    )
                }
            }
        )
        self.observe(hlc: max(highest, storage.report.newestHLC))
        do throws(StorageError) {
            let hasRecords = try Self.hasRecords(storage)
            let file = RoundFile(directory: self.options.directory, fileSystem: self.fileSystem)
            let round = try file.next(hasRecords: hasRecords)
            self.round.store(round, ordering: .relaxed)
        } catch {
            self.closeKeepingLock(storage)
            throw error
        }
        let report = storage.report
        let position = storage.index.position
        self.shared.withLock { shared in
            shared.storage = storage
            shared.lock = nil
            shared.report = report
            shared.assigned = (sequence, position)
            shared.tailByteCount = 0
        }
        let end = Clocks.monotonic()
        self.recoveryNanoseconds.store(end.nanoseconds - start.nanoseconds, ordering: .relaxed)
        observer?.recovered(report)
    }

    func observe(hlc: UInt64) {
        self.lastHLC.store(
            max(self.lastHLC.load(ordering: .relaxed), hlc),
            ordering: .relaxed
        )
    }

    /// Whether anything was ever written: a tombstone, too, has a version that must not come back.
    private static func hasRecords(_ storage: Storage) throws(StorageError) -> Bool {
        if storage.report.recordCount > 0 || storage.report.newestHLC > 0 { return true }
        do throws(IndexError) {
            return try !storage.index.scan(from: .first, through: .last, limit: 1).isEmpty
        } catch {
            throw .index(error)
        }
    }

    /// Closes a storage so that no other process can take the directory before it is opened again.
    private func closeKeepingLock(_ storage: Storage) {
        let lock = storage.closeKeepingLock()
        self.shared.withLock { $0.lock = lock }
    }

    package var recoveryReport: RecoveryReport? { self.shared.withLock { $0.report } }

    var storage: Storage? { self.shared.withLock { $0.storage } }

    /// Forgets everything in memory, and what waited for the log, then opens the storage again.
    ///
    /// Called on the log's thread when the log failed; the log is closed already.
    func reopen(
        after failure: String,
        outcome: LogFailure.Outcome,
        isLogFailure: Bool
    ) throws(StorageError) {
        // First of all: whoever comes from now on is refused, not left to wait for a dead log.
        self.stateCode.store(State.recovering.rawValue, ordering: .releasing)
        if isLogFailure {
            self.observer?.logFailed(reason: failure, outcome: outcome)
        } else {
            self.observer?.indexFailed(reason: failure)
        }
        self.setState(.recovering, reason: failure)
        while true {
            let isDone = try self.maintenance.withLockIfAvailable {
                (_) throws(StorageError) -> Bool in
                try self.replaceStorage(failure, outcome)
                return true
            }
            if isDone == true { return }
            // A sweep ends soon; the watchdog must not take the wait for a thread that hangs.
            self.queue.heartbeat.wrappingAdd(1, ordering: .relaxed)
            Clocks.sleep(milliseconds: 5)
        }
    }

    private func replaceStorage(
        _ failure: String,
        _ outcome: LogFailure.Outcome
    ) throws(StorageError) {
        for stripe in self.stripes { stripe.reset() }
        let after = self.durable
        let through = self.queue.discard()
        self.shared.withLock { shared in
            shared.failures.append(
                LogFailure(after: after, through: through, outcome: outcome, reason: failure)
            )
            if shared.failures.count > 100 { shared.failures.removeFirst() }
        }
        self.generationCount.wrappingAdd(1, ordering: .releasing)
        // One number more than those that failed, for the records that recovery finds.
        self.durableSequence.store(through + 1, ordering: .releasing)
        self.notifyListeners()
        if let storage = self.storage { self.closeKeepingLock(storage) }
        self.shared.withLock { $0.storage = nil }
        try self.openStorage()
    }

    func notifyListeners() {
        for listener in self.shared.withLock({ $0.listeners }) { listener() }
    }
}
