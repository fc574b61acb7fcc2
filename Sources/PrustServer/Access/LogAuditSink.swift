package import Logging
package import PrustCore
import PrustSystemd
import Synchronization

/// Writes the audit trail to the log, with the message IDs of the catalog.
///
/// What was done is written always. What was denied or failed can be repeated by anyone at any
/// rate: of equal events the first ones of a minute are written, the rest are counted, and one
/// line says how many there were. So nobody can flood the journal, which would then drop lines.
package final class LogAuditSink: AuditSink {
    /// Lines for equal events in one window.
    package static let burstCountMax = 10
    package static let windowNanoseconds: Int64 = 60_000_000_000
    /// Kinds of events that are told apart at one time; beyond that they are counted together.
    package static let kindCountMax = 1_024

    private struct Window {
        var startedAt: MonotonicInstant
        var count = 0
    }

    private let logger: Logger
    private let now: @Sendable () -> MonotonicInstant
    private let windows = Mutex<[AuditEvent: Window]>([:])

    package init(
        logger: Logger,
        now: @escaping @Sendable () -> MonotonicInstant = { Clocks.monotonic() }
    ) {
        self.logger = logger
        self.now = now
    }

    package func record(_ event: AuditEvent) {
        guard event.outcome != .done else { return self.write(event) }
        let event = Self.bounded(event)
        let now = self.now()
        let mayWrite = self.windows.withLock { windows in
            let isKnown = windows[event] != nil
            let kind = isKnown || windows.count < Self.kindCountMax ? event : Self.other
            var window = windows[kind] ?? Window(startedAt: now)
            window.count += 1
            windows[kind] = window
            return kind == event && window.count <= Self.burstCountMax
        }
        if mayWrite { self.write(event) }
    }

    /// Writes how often events were repeated in the windows that are over; to be called regularly.
    package func summarize(all: Bool = false) {
        let now = self.now()
        let over = self.windows.withLock { windows in
            let over = windows.filter {
                all || now.nanoseconds - $0.value.startedAt.nanoseconds >= Self.windowNanoseconds
            }
            for event in over.keys { windows[event] = nil }
            return over
        }
        for (event, window) in over {
            let shown = event == Self.other ? 0 : Self.burstCountMax
            if window.count > shown { self.write(event, repeated: window.count - shown) }
        }
    }

    /// The event as it is told apart: texts that a peer chose are cut as they are when written.
    private static func bounded(_ event: AuditEvent) -> AuditEvent {
        func cut(_ text: String) -> String {
            guard text.utf8.count > AuditRecord.textByteCountMax else { return text }
            return String(decoding: text.utf8.prefix(AuditRecord.textByteCountMax), as: UTF8.self)
        }
        var event = event
        event.who = cut(event.who)
        event.action = cut(event.action)
        event.target = event.target.map(cut)
        event.reason = event.reason.map(cut)
        return event
    }

    /// Stands for all events beyond ``kindCountMax`` kinds.
    private static let other = AuditEvent(
        who: "various",
        method: nil,
        from: "various",
        action: "various",
        outcome: .denied
    )

    private func write(_ event: AuditEvent, repeated: Int = 0) {
        let method = event.method.map { " (\($0.rawValue))" } ?? ""
        let reason = event.reason.map { ": \($0)" } ?? ""
        let times = repeated > 0 ? " (\(repeated) times more)" : ""
        let outcome =
            switch event.outcome {
            case .done: AuditRecord.Outcome.allowed
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
        guard event.outcome != .denied else { return .accessDenied }
        let kinds = ["user.", "role.", "client."]
        let isAccess = kinds.contains { event.action.hasPrefix($0) }
        return isAccess && event.outcome == .done ? .userChanged : .administrativeAction
    }
}
