import NIOConcurrencyHelpers
import PrustCore
package import PrustStorage
import PrustTLS
import Synchronization

/// Opening, re-opening and closing the storage under the engine.
extension Engine {
    /// Opens the storage, replays the tail of the log and starts serving.
    package func open() throws(StorageError) {
        try self.openStorage()
        self.setState(.serving, reason: "")
    }

    var observer: (any EngineObserver)? { self.shared.withLock { $0.observer } }

    func setState(_ state: State, reason: String) {
        let old = self.stateCode.exchange(state.rawValue, ordering: .acquiringAndReleasing)
        self.shared.withLock { $0.stateReason = reason }
        if old != state.rawValue { self.observer?.stateChanged(state, reason: reason) }
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

    func openStorage() throws(StorageError) {
        let start = Clocks.monotonic()
        var highest: UInt64 = 0
        let sequence = self.queue.last
        let observer = self.observer
        let storage = try Storage.open(
            directory: self.options.directory,
            fileSystem: self.fileSystem,
            options: self.options.storage,
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
        let hasRecords = storage.report.recordCount > 0 || storage.index.count > 0
        let round: UInt32
        do throws(StorageError) {
            round = try self.nextRound(hasRecords: hasRecords)
        } catch {
            storage.close()
            throw error
        }
        self.round.store(round, ordering: .relaxed)
        let report = storage.report
        self.shared.withLock { shared in
            shared.storage = storage
            shared.report = report
            shared.assigned = (sequence, storage.index.position)
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

    /// Counts this start, durably, before anything is written under its ballot.
    ///
    /// Without the number of the last start the versions of new records could be below those of
    /// old ones, so a file that is missing or damaged keeps the storage closed.
    private func nextRound(hasRecords: Bool) throws(StorageError) -> UInt32 {
        let path = "\(self.options.directory)/META.round"
        do {
            var last: UInt32 = 0
            if let file = try self.openIfPresent(path) {
                var bytes = [UInt8](repeating: 0, count: 10)
                let count = try bytes.withUnsafeMutableBytes { raw in
                    try file.read(into: raw, at: 0)
                }
                let digits = String(decoding: bytes.prefix(count), as: UTF8.self)
                guard let number = UInt32(digits), number < .max else {
                    throw StorageError.damaged(path: path, reason: "expected the number of a start")
                }
                last = number
            } else if hasRecords {
                throw StorageError.damaged(
                    path: path,
                    reason: "it is missing: restore it with the directory"
                )
            }
            let next = last + 1
            try self.replace(path, with: Array(String(next).utf8))
            return next
        } catch let error as FileError {
            throw .file(error)
        } catch let error as StorageError {
            throw error
        } catch {
            throw .failed("\(error)")
        }
    }

    private func openIfPresent(_ path: String) throws(FileError) -> (any File)? {
        do throws(FileError) {
            return try self.fileSystem.open(path, .read)
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
    }

    private func replace(_ path: String, with bytes: [UInt8]) throws {
        let temporary = path + ".tmp"
        let file = try self.fileSystem.open(temporary, .createOrOpen)
        try file.truncate(to: 0)
        try bytes.withUnsafeBytes { try file.write($0, at: 0) }
        try file.sync()
        try self.fileSystem.rename(temporary, to: path)
        try self.fileSystem.syncDirectory(self.options.directory)
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
        self.maintenance.lock()
        defer { self.maintenance.unlock() }
        self.setState(.recovering, reason: failure)
        for stripe in self.stripes { stripe.reset() }
        let after = self.durable
        let through = self.queue.discard()
        self.shared.withLock { shared in
            shared.failures.append(
                LogFailure(after: after, through: through, outcome: outcome, reason: failure)
            )
            if shared.failures.count > 100 { shared.failures.removeFirst() }
        }
        if isLogFailure { self.observer?.logFailed(reason: failure, outcome: outcome) }
        // One number more than those that failed, for the records that recovery finds.
        self.durableSequence.store(through + 1, ordering: .releasing)
        self.notifyListeners()
        self.storage?.close()
        self.shared.withLock { $0.storage = nil }
        // A load that was under way may have brought in what the old index said.
        for stripe in self.stripes { stripe.reset() }
        try self.openStorage()
    }

    func notifyListeners() {
        for listener in self.shared.withLock({ $0.listeners }) { listener() }
    }
}
