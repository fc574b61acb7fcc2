package import Logging
import Synchronization

/// The level from which messages are written, for all loggers of a process together.
///
/// A reload changes it while loggers that were made before are in use everywhere.
package final class LogLevelControl: Sendable {
    private let rank: Atomic<Int>

    package init(_ level: Logger.Level) {
        self.rank = Atomic(Self.rank(of: level))
    }

    package var level: Logger.Level {
        get {
            let rank = self.rank.load(ordering: .relaxed)
            return Logger.Level.allCases[rank]
        }
        set { self.rank.store(Self.rank(of: newValue), ordering: .relaxed) }
    }

    private static func rank(of level: Logger.Level) -> Int {
        Logger.Level.allCases.firstIndex(of: level) ?? 0
    }
}
