package import Logging

/// One line of the audit trail: who did what to what, from where, and how it ended.
///
/// It never holds a key, a value or a secret; a key prefix of a role may be named.
package struct AuditRecord: Equatable, Sendable {
    package enum Outcome: String, Sendable, CaseIterable {
        case allowed
        case denied
        case failed
    }

    /// Bytes of each text; a peer chooses some of them.
    package static let textByteCountMax = 256

    /// The user, or the name that somebody tried.
    package let who: String
    /// The command or the operation, such as `set` or `user create`.
    package let what: String
    /// The peer's address, or `unix` with its user ID.
    package let from: String
    package let outcome: Outcome
    /// What was acted on, if that is not a key.
    package let target: String?

    package init(who: String, what: String, from: String, outcome: Outcome, target: String? = nil) {
        self.who = who
        self.what = what
        self.from = from
        self.outcome = outcome
        self.target = target
    }

    /// The record as facts of a log message.
    package var metadata: Logger.Metadata {
        var result: Logger.Metadata = [
            "audit-who": Self.bounded(self.who),
            "audit-what": Self.bounded(self.what),
            "audit-from": Self.bounded(self.from),
            "audit-outcome": .string(self.outcome.rawValue),
        ]
        if let target = self.target { result["audit-target"] = Self.bounded(target) }
        return result
    }

    private static func bounded(_ text: String) -> Logger.MetadataValue {
        .string(LogText.cut(text, byteCountMax: Self.textByteCountMax))
    }
}
