package import PrustCore

/// Decides when the service manager's watchdog is fed.
///
/// The watchdog asks whether the service works, not whether a timer runs: it is fed only when every
/// part that must move (each event loop, the log writer) has moved since it was fed last. A part
/// counts its own work; a part that has nothing to do is asked for a sign and counts the answer.
/// Pure: the driver polls it every ``pollInterval`` with the parts' counters and does what it says.
package struct Watchdog: Sendable {
    /// What the driver does after a poll.
    package struct Decision: Equatable, Sendable {
        /// Send `WATCHDOG=1`.
        package var feed: Bool
        /// Indices of the parts to ask for a sign; a part is asked once until it moves.
        package var ask: [Int]
        /// Names of the parts that have not moved since the last feed.
        package var silent: [String]
        /// Log that the watchdog starves; once until it is fed again.
        package var warn: Bool

        package init(feed: Bool, ask: [Int], silent: [String], warn: Bool) {
            self.feed = feed
            self.ask = ask
            self.silent = silent
            self.warn = warn
        }
    }

    package let interval: Duration
    private let names: [String]
    private var fedAt: MonotonicInstant
    private var fedProgress: [UInt64]
    private var isAsked: [Bool]
    private var hasWarned = false

    /// Begins as if just fed.
    ///
    /// - Parameters:
    ///   - interval: `WatchdogSec=` of the unit.
    ///   - names: The parts that must move, in the order of the counters given to ``poll``.
    ///   - progress: The parts' counters now.
    ///   - now: Monotonic time.
    package init(
        interval: Duration,
        names: [String],
        progress: [UInt64],
        now: MonotonicInstant
    ) {
        precondition(interval > .zero, "a watchdog of \(interval) cannot be fed")
        precondition(names.count == progress.count, "\(names.count) names for \(progress.count)")
        self.interval = interval
        self.names = names
        self.fedAt = now
        self.fedProgress = progress
        self.isAsked = names.map { _ in false }
    }

    /// How often to poll: five times an interval, so that one late poll or answer is forgiven.
    package var pollInterval: Duration {
        self.interval / 5
    }

    /// Looks at the parts' counters, which may also wrap or be set back.
    package mutating func poll(progress: [UInt64], now: MonotonicInstant) -> Decision {
        precondition(progress.count == self.names.count, "\(progress.count) counters")
        let silent = self.names.indices.filter { progress[$0] == self.fedProgress[$0] }
        if silent.isEmpty {
            self.fedAt = now
            self.fedProgress = progress
            self.isAsked = self.names.map { _ in true }
            self.hasWarned = false
            return Decision(feed: true, ask: Array(self.names.indices), silent: [], warn: false)
        }
        let ask = silent.filter { !self.isAsked[$0] }
        for index in ask { self.isAsked[index] = true }
        // Half of the interval: late enough to be true, early enough to be written.
        let warnAt = self.fedAt.advanced(by: self.interval / 2)
        let warn = !self.hasWarned && now >= warnAt
        if warn { self.hasWarned = true }
        return Decision(feed: false, ask: ask, silent: silent.map { self.names[$0] }, warn: warn)
    }
}
