package import Logging
package import PrustCore
import PrustSystemd
import Synchronization

/// Writes the audit trail to the log, with the message IDs of the catalog.
///
/// What was done is written always. What was denied, failed or only looked at can be repeated at
/// any rate: of equal events the first ones of a minute are written, the rest are counted, and one
/// line says how many there were. Strangers, users and administration have a budget each, in which
/// no network has more than its share. So nobody can flood the journal, which would then drop
/// lines, and no stranger can keep what others do out of it.
package final class LogAuditSink: AuditSink {
    /// Lines for equal events in one minute.
    package static let burstCountMax = 10
    /// Kinds of events that are told apart at one time in each budget.
    ///
    /// All their lines, twice in 30 seconds, stay below `LogRateLimitBurst=` of the unit.
    package static let kindCountMax = 256
    /// Those of one network.
    package static let kindPerNetworkCountMax = 32

    private let logger: Logger
    private let now: @Sendable () -> MonotonicInstant
    /// One for each ``Budget``.
    private let filters: Mutex<[RepeatFilter<AuditEvent>]>

    package init(
        logger: Logger,
        now: @escaping @Sendable () -> MonotonicInstant = { Clocks.monotonic() }
    ) {
        self.logger = logger
        self.now = now
        self.filters = Mutex(
            Budget.allCases.map { _ in
                RepeatFilter<AuditEvent>(
                    burstCountMax: Self.burstCountMax,
                    kindCountMax: Self.kindCountMax,
                    kindPerSourceCountMax: Self.kindPerNetworkCountMax
                )
            }
        )
    }

    package func record(_ event: AuditEvent) {
        guard event.outcome != .done else { return self.write(event) }
        let network = NetworkName.of(origin: event.from)
        let kind = Self.kind(of: event, network)
        let budget = Budget(event)
        let now = self.now()
        let isWritten = self.filters.withLock {
            $0[budget.rawValue].isWritten(kind, from: network, now: now)
        }
        if isWritten { self.write(event) }
    }

    /// Writes how often events were repeated in the minutes that are over; to be called regularly.
    package func summarize(all: Bool = false) {
        let now = self.now()
        for budget in Budget.allCases {
            let repeated = self.filters.withLock {
                $0[budget.rawValue].takeRepeated(now: now, all: all)
            }
            for (group, count) in repeated {
                self.write(budget.event(of: group), repeated: count)
            }
        }
    }

    /// The event as it is told apart: by network, and texts that a peer chose are cut as they are
    /// when written.
    private static func kind(of event: AuditEvent, _ network: String) -> AuditEvent {
        func cut(_ text: String) -> String {
            guard text.utf8.count > AuditRecord.textByteCountMax else { return text }
            return String(decoding: text.utf8.prefix(AuditRecord.textByteCountMax), as: UTF8.self)
        }
        var kind = event
        kind.who = event.isKnown ? cut(event.who) : "unknown"
        kind.from = network
        kind.action = cut(event.action)
        kind.target = event.target.map(cut)
        kind.reason = event.reason.map(cut)
        return kind
    }

    private func write(_ event: AuditEvent, repeated: Int = 0) {
        let method = event.method.map { " (\($0.rawValue))" } ?? ""
        let reason = event.reason.map { ": \($0)" } ?? ""
        let times = repeated > 0 ? " (\(repeated) times more)" : ""
        let outcome =
            switch event.outcome {
            case .done, .shown: AuditRecord.Outcome.allowed
            case .denied: AuditRecord.Outcome.denied
            case .failed: AuditRecord.Outcome.failed
            }
        let record = AuditRecord(
            who: event.who,
            what: event.action + reason + times,
            from: event.from + method,
            outcome: outcome,
            target: event.target
        )
        self.logger.audit(Self.event(for: event), record)
    }

    private static func event(for event: AuditEvent) -> JournalEvent {
        if event.action == AuditEvent.login {
            return event.reason == AuditEvent.throttled ? .loginThrottled : .loginFailed
        }
        guard event.outcome != .denied else { return .accessDenied }
        let kinds = ["user.", "role.", "client."]
        let isAccess = kinds.contains { event.action.hasPrefix($0) }
        return isAccess && event.outcome == .done ? .userChanged : .administrativeAction
    }

    /// Events that share the bounds; those of one budget take no room of another.
    private enum Budget: Int, CaseIterable {
        /// Nobody has proved who it is, so anyone can do it.
        case strangers
        /// A user asked for what it may not.
        case users
        /// What an administrator looked at, or could not do.
        case administration

        init(_ event: AuditEvent) {
            if event.action == AuditEvent.login || event.method == nil || !event.isKnown {
                self = .strangers
            } else {
                self = event.outcome == .denied ? .users : .administration
            }
        }

        /// What stands for all events that were counted together.
        func event(of group: RepeatFilter<AuditEvent>.Group) -> AuditEvent {
            switch group {
            case .kind(let event, _): event
            case .source(let network): self.various(from: network)
            case .rest: self.various(from: "various")
            }
        }

        private func various(from network: String) -> AuditEvent {
            let isLogin = self == .strangers
            return AuditEvent(
                who: "various",
                method: nil,
                from: network,
                action: isLogin ? AuditEvent.login : "various",
                outcome: self == .administration ? .failed : .denied,
                reason: isLogin ? "various" : nil
            )
        }
    }
}
