package import Logging
import PrustSystemd

/// Writes the audit trail to the log, with the message IDs of the catalog.
package struct LogAuditSink: AuditSink {
    private let logger: Logger

    package init(logger: Logger) {
        self.logger = logger
    }

    package func record(_ event: AuditEvent) {
        let method = event.method.map { " (\($0.rawValue))" } ?? ""
        let reason = event.reason.map { ": \($0)" } ?? ""
        let outcome =
            switch event.outcome {
            case .done: AuditRecord.Outcome.allowed
            case .denied: AuditRecord.Outcome.denied
            case .failed: AuditRecord.Outcome.failed
            }
        let record = AuditRecord(
            who: event.who,
            what: event.action + reason,
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
