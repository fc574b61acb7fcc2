/// One line of the audit trail: who did what, from where, and what came of it.
package struct AuditEvent: Hashable, Sendable {
    package enum Outcome: String, Sendable {
        case done
        /// Not allowed.
        case denied
        /// Allowed, but it could not be done.
        case failed
    }

    /// Name of the user; `uid=N` for the admin socket; empty when unknown.
    package var who: String
    package var method: AuthenticationMethod?
    /// Address of the client, or `unix`.
    package var from: String
    /// What was asked for, such as `user.create` or the name of a command; never keys or values.
    package var action: String
    /// What it was about, such as the name of a user.
    package var target: String?
    package var outcome: Outcome
    /// Why it was not done: a code, not a text with contents of requests.
    package var reason: String?

    package init(
        who: String,
        method: AuthenticationMethod?,
        from: String,
        action: String,
        target: String? = nil,
        outcome: Outcome,
        reason: String? = nil
    ) {
        self.who = who
        self.method = method
        self.from = from
        self.action = action
        self.target = target
        self.outcome = outcome
        self.reason = reason
    }
}

/// Where the audit trail goes.
package protocol AuditSink: Sendable {
    func record(_ event: AuditEvent)
}
