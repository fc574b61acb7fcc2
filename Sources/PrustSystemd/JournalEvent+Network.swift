import Logging

/// Certificates and connections.
extension JournalEvent {
    static let networkEvents: [JournalEvent] = [
        .certificateExpiresSoon, .certificateExpired, .connectionLimitReached, .handshakesFailed,
    ]

    package static let certificateExpiresSoon = JournalEvent(
        "PDB0201",
        "33438f13243b4b67a4f14bd9c71c8aa7",
        .warning,
        "A certificate expires soon",
        explanation: """
            The entry names the file and the time. When it has expired, nobody can connect any \
            more; connections that are open stay open.
            """,
        remedy: """
            Make or fetch a new certificate, put it in the place of the old one and run \
            "systemctl reload prustdb". No restart is needed.
            """
    )

    package static let certificateExpired = JournalEvent(
        "PDB0202",
        "f5f189c80a214508bdf178ebc36e1fd1",
        .critical,
        "A certificate has expired",
        explanation: """
            Clients refuse this node's certificate, or this node refuses all of theirs; the entry \
            names the file. A wrong clock of the machine looks the same.
            """,
        remedy: """
            Check the clock ("timedatectl"). Put a new certificate in the place of the old one and \
            run "systemctl reload prustdb".
            """
    )

    package static let connectionLimitReached = JournalEvent(
        "PDB0203",
        "864b57911512453e81a157acd717c0bc",
        .warning,
        "The limit of connections is reached and new ones are refused",
        explanation: """
            As many clients are connected as the settings allow. More are turned away with an \
            error that names the limit. The entry comes once for a while, not for each client.
            """,
        remedy: """
            Look for clients that open a connection for each command. If all of them are needed, \
            raise the limit in prustdb.yaml and, with it, LimitNOFILE= of the unit.
            """
    )

    package static let handshakesFailed = JournalEvent(
        "PDB0204",
        "09506fb90f034b8187c3b5ef783b108e",
        .warning,
        "TLS handshakes failed",
        explanation: """
            Some clients could not connect in the time that the entry sums up. The counts tell the \
            reasons: no certificate, one of another authority, an expired one, an old TLS version, \
            no TLS at all, or silence.
            """,
        remedy: """
            One client that cannot connect: compare its CA and certificate with those of \
            "prustadm client create". Many from one address that nobody knows: somebody tries \
            doors; a firewall is the remedy.
            """
    )
}
