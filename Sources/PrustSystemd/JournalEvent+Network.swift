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
            The entry names the file and the time; it comes once a day. When the certificate has \
            expired, nobody can connect any more; connections that are open stay open.
            """,
        remedy: """
            Run "prustadm node renew" on the node that has the CA key, or put a new certificate in \
            the place of the old one; then run "systemctl reload prustdb". No restart is needed.
            """
    )

    package static let certificateExpired = JournalEvent(
        "PDB0202",
        "f5f189c80a214508bdf178ebc36e1fd1",
        .critical,
        "A certificate has expired",
        explanation: """
            Clients refuse this node's certificate, or this node refuses all of theirs; the entry \
            names the file and comes once a day. A wrong clock of the machine looks the same.
            """,
        remedy: """
            Check the clock ("timedatectl"). Then renew as before expiry: "prustadm node renew", \
            or a new certificate in the place of the old one, and "systemctl reload prustdb".
            """
    )

    package static let connectionLimitReached = JournalEvent(
        "PDB0203",
        "864b57911512453e81a157acd717c0bc",
        .warning,
        "The limit of connections is reached and new ones are refused",
        explanation: """
            As many clients are connected as the setting that the entry names allows: all of \
            them, those of one address, or those whose TLS handshake is under way. One more is \
            closed before TLS, so it learns no reason; of handshakes it is the oldest that is \
            closed. The first in a minute is written, then how many more there were.
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
            A client could not connect; the entry tells its address and the reason: no \
            certificate, one of another authority, an expired one, an old TLS version, no TLS at \
            all, or silence. For each reason and address the first in a minute are written, then \
            how many more there were.
            """,
        remedy: """
            One client that cannot connect: compare its CA and certificate with those of \
            "prustadm client create". A load balancer that only opens and closes connections: let \
            it ask /readyz. Many from one address that nobody knows: somebody tries doors; a \
            firewall is the remedy.
            """
    )
}
