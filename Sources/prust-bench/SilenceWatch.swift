import NIOCore
import PrustDBClient

/// Tells when a node that owes replies has sent none for too long.
///
/// Pure: reads no clock. Its user resets it with every reply, and while nothing is owed.
struct SilenceWatch: Sendable {
    private let bound: TimeAmount
    private var since: NIODeadline

    init(bound: TimeAmount, now: NIODeadline) {
        self.bound = bound
        self.since = now
    }

    /// The bound for a time that the user is willing to wait for a node that is away.
    ///
    /// At least a second, because a node that is there may take a moment for its disk.
    static func bound(retry: Duration) -> TimeAmount { max(retry.timeAmount, .seconds(1)) }

    /// When the silence is over the bound, unless a reply comes before.
    var deadline: NIODeadline { self.since + self.bound }

    /// What the user is told.
    var message: String {
        "no reply for \(Terminal.decimal(Double(self.bound.nanoseconds) / 1e9)) s, given up"
    }

    mutating func reset(now: NIODeadline) { self.since = now }

    func isOver(now: NIODeadline) -> Bool { self.deadline <= now }
}
