import Logging
import PrustCore
import PrustStorage
import PrustSystemd
import PrustTelemetry
import Synchronization

/// Tells metrics, the journal and the service manager what the engine reports.
final class EngineReporter: EngineObserver {
    private let metrics: ServerMetrics
    private let logger: Logger
    private let notifier: Notifier
    private let lastProgress = Mutex(MonotonicInstant(nanoseconds: 0))
    private let progressText = Mutex("")
    /// What of the log is wrong at present, and why; logged already.
    private let trouble = Mutex<(event: JournalEvent, reason: String)?>(nil)

    init(metrics: ServerMetrics, logger: Logger, notifier: Notifier) {
        self.metrics = metrics
        self.logger = logger
        self.notifier = notifier
    }

    /// What recovery is doing, for `/readyz`.
    var progress: String { self.progressText.withLock { $0 } }

    func groupCommitted(recordCount: Int, byteCount: Int, nanoseconds: UInt64) {
        self.metrics.log.appends.add(UInt64(recordCount))
        self.metrics.log.syncs.add()
        self.metrics.log.syncSeconds.record(nanoseconds: nanoseconds)
        self.metrics.log.groupRecords.record(UInt64(recordCount))
        self.metrics.log.groupBytes.record(UInt64(byteCount))
    }

    func logFailed(reason: String, outcome: Engine.LogFailure.Outcome) {
        self.metrics.log.failures.add()
        self.trouble.withLock { $0 = (.logRecovered, reason) }
        self.logger.event(
            .logFailed,
            metadata: ["reason": "\(reason)", "outcome": "\(outcome.rawValue.lowercased())"]
        )
    }

    func indexFailed(reason: String) {
        self.trouble.withLock { $0 = (.logRecovered, reason) }
        self.logger.error(
            "the index failed and the storage is opened again",
            metadata: ["reason": "\(reason)"]
        )
    }

    func recovered(_ report: RecoveryReport) {
        self.logger.event(
            .recoveryFinished,
            metadata: [
                "records": "\(report.recordCount)", "bytes": "\(report.byteCount)",
                "segments": "\(report.segmentCount)",
            ]
        )
        if let torn = report.tornTail {
            self.logger.event(
                .tornTailCut,
                metadata: [
                    "segment": "\(torn.segment)", "offset": "\(torn.offset)",
                    "bytes": "\(torn.byteCount)",
                ]
            )
        }
        for region in report.corruptRegions {
            self.logger.event(
                .corruptRecordFound,
                metadata: [
                    "segment": "\(region.segment)", "offset": "\(region.offset)",
                    "bytes": "\(region.byteCount)",
                ]
            )
        }
        if let reason = report.indexRebuilt, !report.isNew {
            self.logger.event(.indexRebuilt, metadata: ["reason": "\(reason)"])
        }
    }

    /// Asks the service manager for time, at most twice a second.
    func recoveryProgress(_ progress: RecoveryProgress) {
        let now = Clocks.monotonic()
        let isDue = self.lastProgress.withLock { last in
            guard now.nanoseconds - last.nanoseconds > 500_000_000 else { return false }
            last = now
            return true
        }
        guard isDue else { return }
        let percent =
            progress.byteCountTotal == 0
            ? 100 : progress.byteCount * 100 / progress.byteCountTotal
        let text = "recovering, \(progress.phase): \(percent) %"
        self.progressText.withLock { $0 = text }
        self.notifier.notify(.status(text), .extendTimeout(.seconds(30)))
    }

    func stateChanged(_ state: Engine.State, reason: String) {
        switch state {
        case .stopped: break
        case .recovering: self.openingFailed(reason: reason)
        case .diskFull:
            self.trouble.withLock { $0 = (.diskFullEnded, reason) }
            self.logger.event(.diskFull, metadata: ["reason": "\(reason)"])
        case .serving:
            // The first time is the start, which says so itself.
            guard let trouble = self.trouble.withLock({ $0.take() }) else { return }
            self.logger.event(trouble.event, metadata: ["reason": "\(trouble.reason)"])
        }
    }

    /// Logs why the storage is not open, unless that was the last thing said of it.
    private func openingFailed(reason: String) {
        let isLogged = self.trouble.withLock { trouble in
            if let known = trouble, known.reason == reason { return true }
            trouble = (.logRecovered, reason)
            return false
        }
        guard !isLogged else { return }
        self.logger.event(
            .logFailed,
            metadata: ["reason": "the storage could not be opened again: \(reason)"]
        )
    }

    func swept(recordCount: Int, nanoseconds: UInt64) {
        self.metrics.index.sweeps.add()
        self.metrics.index.sweptRecords.add(UInt64(recordCount))
        self.metrics.index.sweepSeconds.record(nanoseconds: nanoseconds)
    }

    func sweepFailed(reason: String) {
        self.metrics.index.sweepFailures.add()
        self.logger.warning("the index could not be swept", metadata: ["reason": "\(reason)"])
    }

    func readFailed(_ error: String, isCorruption: Bool) {
        self.metrics.index.readFailures.add()
        guard isCorruption else { return }
        self.metrics.index.corruptReads.add()
        self.logger.event(.corruptRecordFound, metadata: ["reason": "\(error)"])
    }
}
