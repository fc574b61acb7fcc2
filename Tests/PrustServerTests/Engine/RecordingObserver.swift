import PrustStorage
import Synchronization

@testable import PrustServer

/// Keeps what an engine tells of its troubles.
final class RecordingObserver: EngineObserver {
    struct Told {
        var recoveringReasons: [String] = []
        var logFailureCount = 0
        var indexFailureCount = 0
    }

    private let state = Mutex(Told())

    var told: Told { self.state.withLock { $0 } }

    func groupCommitted(recordCount: Int, byteCount: Int, nanoseconds: UInt64) {}

    func logFailed(reason: String, outcome: Engine.LogFailure.Outcome) {
        self.state.withLock { $0.logFailureCount += 1 }
    }

    func indexFailed(reason: String) {
        self.state.withLock { $0.indexFailureCount += 1 }
    }

    func recovered(_ report: RecoveryReport) {}
    func recoveryProgress(_ progress: RecoveryProgress) {}

    func stateChanged(_ state: Engine.State, reason: String) {
        guard state == .recovering else { return }
        self.state.withLock { $0.recoveringReasons.append(reason) }
    }

    func swept(recordCount: Int, nanoseconds: UInt64) {}
    func sweepFailed(reason: String) {}
    func readFailed(_ error: String, isCorruption: Bool) {}
}
