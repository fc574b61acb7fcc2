import Logging

/// The audit trail: who did or tried what, from where, with which outcome.
extension JournalEvent {
    static let auditEvents: [JournalEvent] = [
        .accessDenied, .loginFailed, .loginThrottled, .administrativeAction, .userChanged,
    ]

    package static let accessDenied = JournalEvent(
        "PDB0301",
        "045c2ae698d240d5bd636a4e3b078d49",
        .warning,
        "Access was denied",
        explanation: """
            Somebody asked for something that none of his roles allows, or that nobody may without \
            a certificate. The command did nothing. Keys are never logged.
            """,
        remedy: """
            If he should be allowed: "prustadm role" shows and changes what his roles permit. If \
            not: find out who uses his credentials.
            """,
        isAudit: true
    )

    package static let loginFailed = JournalEvent(
        "PDB0302",
        "434fc84b2c864af1a4f9d93707d679b2",
        .warning,
        "A login failed",
        explanation: """
            The user is unknown or disabled, the password is wrong, the certificate is revoked, or \
            too many passwords were waiting to be checked; the entry says which.
            """,
        remedy: """
            A single one is a mistake. Many are a client with an old password or somebody who \
            guesses; attempts are limited for each address and for each name.
            """,
        isAudit: true
    )

    package static let loginThrottled = JournalEvent(
        "PDB0303",
        "c2f4a625f8954283899e5f55cc7f6bb8",
        .warning,
        "Logins are refused for a while after too many failures",
        explanation: """
            A name from one address, an address with all names, or a name from all addresses has \
            failed too often in a minute. Attempts are refused without looking at the password \
            until some time has passed, at most a minute. Clients that are logged in, addresses \
            from which the name has logged in before, and certificates are not concerned by what \
            others do with the name.
            """,
        remedy: """
            If it is a client of yours, give it the right password. If it is not, block its \
            address.
            """,
        isAudit: true
    )

    package static let administrativeAction = JournalEvent(
        "PDB0304",
        "c119b986e05d4664bc8842a68c601d28",
        .notice,
        "An administrative action was taken",
        explanation: "The entry says who did what, from where, and whether it was allowed.",
        remedy: "Nothing, if you know of it.",
        isAudit: true
    )

    package static let userChanged = JournalEvent(
        "PDB0305",
        "70bb0f04bc114ba8827973cb06b4cb64",
        .notice,
        "A user, role or client certificate was changed",
        explanation: """
            Somebody was given access or lost it; the entry says who did it and to whom. It is in \
            force at once, for connections that are open too.
            """,
        remedy: "Nothing, if you know of it.",
        isAudit: true
    )
}
