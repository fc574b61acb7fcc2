import Logging

/// The daemon's life: start, settings, reload, stop.
extension JournalEvent {
    static let lifeEvents: [JournalEvent] = [
        .started, .ready, .stopping, .stopped, .reloaded, .reloadFailed, .settingsInvalid,
        .clusterFounded, .watchdogStarving, .startFailed,
    ]

    package static let started = JournalEvent(
        "PDB0001",
        "7e06b00abd1c492391b8beeda42402af",
        .notice,
        "PrustDB starts",
        explanation: """
            The daemon has read its settings and begins to open its data directory. It serves \
            nobody yet.
            """,
        remedy: "Nothing. \"PrustDB is ready\" follows when recovery is done."
    )

    package static let ready = JournalEvent(
        "PDB0002",
        "b617ddadd47a48449b7dca15a2768efb",
        .notice,
        "PrustDB is ready",
        explanation: "Recovery is done, the listeners are open and clients are served.",
        remedy: "Nothing."
    )

    package static let stopping = JournalEvent(
        "PDB0003",
        "20709330bf624f23b270ac35a3388b6b",
        .notice,
        "PrustDB stops",
        explanation: """
            The daemon was asked to stop. It takes no new connections, finishes the commands that \
            it has begun and closes its files.
            """,
        remedy: "Nothing."
    )

    package static let stopped = JournalEvent(
        "PDB0004",
        "b0c4755cdb714098809a288c0c72c8de",
        .notice,
        "PrustDB has stopped",
        explanation: "Every acknowledged write is on disk and the data directory is unlocked.",
        remedy: "Nothing."
    )

    package static let reloaded = JournalEvent(
        "PDB0005",
        "c4b03748933646199e6b96ab4674d03c",
        .notice,
        "Settings and certificates are reloaded",
        explanation: """
            The settings file, the certificates, the key and the access rules were read again and \
            are in use. Connections that were open keep the certificate they began with; new ones \
            use the new one.
            """,
        remedy: "Nothing."
    )

    package static let reloadFailed = JournalEvent(
        "PDB0006",
        "b894e916fd9145ff993862670a6d2551",
        .error,
        "The reload failed and nothing was changed",
        explanation: """
            A file could not be read or does not fit the others, for example a certificate and a \
            key that are no pair. Everything that was in use before stays in use.
            """,
        remedy: """
            The entry names the file, the field and what was expected. Mend it, check it with \
            "prustadm config check FILE" and reload again.
            """
    )

    package static let settingsInvalid = JournalEvent(
        "PDB0007",
        "5a1d33d76aaa4c309cc13265bbc65258",
        .error,
        "The settings are invalid",
        explanation: """
            A setting of the file, the environment or the command line is unknown, missing or out \
            of its bounds. The daemon does not start with settings that it does not understand.
            """,
        remedy: """
            The entry names the line and the field. "prustadm config check FILE" shows every \
            problem at once; prustdb.yaml(5) describes all settings.
            """
    )

    package static let clusterFounded = JournalEvent(
        "PDB0008",
        "0b576b17f27e47bab76ffa996a1cb4a3",
        .notice,
        "A new cluster was founded",
        explanation: """
            The data directory was empty. A certificate authority, this node's identity and the \
            credentials of the first administrator were made.
            """,
        remedy: """
            Keep a copy of the directory ca/ in a safe place: who has its key can make any \
            certificate of this cluster. If this node was meant to join another cluster, stop it, \
            empty its data directory and join.
            """
    )

    package static let watchdogStarving = JournalEvent(
        "PDB0009",
        "5c13fbdc9040425e8ec6ed3cdfaae34c",
        .warning,
        "A part of the daemon makes no progress",
        explanation: """
            An event loop or the log writer has not moved for half of the watchdog's time. If it \
            does not move in the other half, systemd ends the daemon and starts it anew. \
            Acknowledged writes are safe.
            """,
        remedy: """
            Mostly the disk hangs or the machine has no processor time to give: look at disk \
            latency, at "prustadm doctor" and at the machine's load.
            """
    )

    package static let startFailed = JournalEvent(
        "PDB0010",
        "6352f900ecd845e99991392a08e05aff",
        .critical,
        "PrustDB cannot start",
        explanation: """
            The data directory, a listener or a certificate cannot be used; the entry says which \
            and why. No data was changed.
            """,
        remedy: """
            Common reasons: the directory belongs to another user or is in use by another \
            process, the port is taken, or the node has no identity yet (run "prustadm \
            bootstrap"). "prustadm doctor" checks all of them.
            """
    )
}
