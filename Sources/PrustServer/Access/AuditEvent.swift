/// One line of the audit trail: who did what, from where, and what came of it.
package struct AuditEvent: Hashable, Sendable {
    package enum Outcome: String, Sendable {
        case done
        /// Done, and nothing was changed by it: it can be repeated at any rate.
        case shown
        /// Not allowed.
        case denied
        /// Allowed, but it could not be done.
        case failed
    }

    /// The action of logging in, with which a name is tried that nobody has proved yet.
    package static let login = "login"
    /// The reason of a login that was refused without a look at its password.
    package static let throttled = "throttled"

    /// Name of the user; `uid=N` for the admin socket; `unknown` without a name.
    package var who: String
    /// Whether the name is that of a user.
    ///
    /// Anyone can make up any number of other names, so events of those are counted together.
    package var isKnown: Bool
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
        isKnown: Bool = true,
        method: AuthenticationMethod?,
        from: String,
        action: String,
        target: String? = nil,
        outcome: Outcome,
        reason: String? = nil
    ) {
        self.who = who
        self.isKnown = isKnown
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
