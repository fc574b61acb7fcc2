import Logging

/// What happens to the data: recovery, damage, a failing or full disk.
extension JournalEvent {
    static let storageEvents: [JournalEvent] = [
        .recoveryStarted, .recoveryFinished, .tornTailCut, .corruptRecordFound, .indexRebuilt,
        .logFailed, .logRecovered, .diskFull, .diskFullEnded,
    ]

    package static let recoveryStarted = JournalEvent(
        "PDB0101",
        "98ab6223dd9445d8b00ec7e08d7a1a76",
        .info,
        "Recovery starts",
        explanation: """
            The daemon reads the end of its log, which is not in the index yet. \
            "systemctl status prustdb" shows how far it is.
            """,
        remedy: "Nothing. The start timeout is extended for as long as recovery makes progress."
    )

    package static let recoveryFinished = JournalEvent(
        "PDB0102",
        "c37428ab4f26498eb83c15f37330b113",
        .info,
        "Recovery is finished",
        explanation: "Every write that was acknowledged before the stop is there again.",
        remedy: "Nothing."
    )

    package static let tornTailCut = JournalEvent(
        "PDB0103",
        "59ca855005da4c588bdd11af6c77550f",
        .notice,
        "An unfinished write at the end of the log was cut off",
        explanation: """
            The machine or the process stopped in the middle of a write. That write was never \
            acknowledged to anyone. Acknowledged writes are not affected.
            """,
        remedy: "Nothing: this is what a crash or a power failure looks like."
    )

    package static let corruptRecordFound = JournalEvent(
        "PDB0104",
        "23cf491187ea476e812a5f7d46e4be66",
        .error,
        "A corrupt record was found",
        explanation: """
            A record of the log does not match its checksum: the disk, its controller or memory \
            changed bytes after they were written. The record is not served; commands that need \
            it get an error. Other data is not affected.
            """,
        remedy: """
            Look at the disk's health ("smartctl -a", the kernel's log) and run "prustadm doctor". \
            Restore the key from a backup or write it anew. More such entries mean that the disk \
            must be replaced.
            """
    )

    package static let indexRebuilt = JournalEvent(
        "PDB0105",
        "7ba51ac480384b1a84c6bb94f9d63f27",
        .warning,
        "The index was rebuilt from the log",
        explanation: """
            The index was missing, damaged or of another format. It holds nothing that the log \
            does not hold, so it was made anew from it. No data is lost.
            """,
        remedy: """
            Nothing, if it was removed on purpose or after an upgrade. Otherwise look at the \
            disk's health.
            """
    )

    package static let logFailed = JournalEvent(
        "PDB0106",
        "647f7fb9fe4a4e04a31760a3885ae8c9",
        .critical,
        "The log cannot be written",
        explanation: """
            A write or a sync to disk failed. After that nobody can know what is on disk, so \
            nothing is acknowledged any more; clients get an error, readers too. The daemon closes \
            the log and opens it again, reading what is really there.
            """,
        remedy: """
            The kernel's log ("journalctl -k") says what the disk reported. If "The log is written \
            again" does not follow, replace the disk.
            """
    )

    package static let logRecovered = JournalEvent(
        "PDB0107",
        "b6cd63aaffaa4c749955416ced14c4eb",
        .notice,
        "The log is written again",
        explanation: """
            After a failure the log was opened anew and checked; writes are acknowledged again. \
            Clients whose write ended in an error meanwhile cannot know whether it took effect.
            """,
        remedy: "Find out why the disk failed before it does so again."
    )

    package static let diskFull = JournalEvent(
        "PDB0108",
        "caadc430da544657a1bc045aa6bb98ab",
        .critical,
        "The disk is full and writes are refused",
        explanation: """
            There is not enough free space for more records. Writes get an error that says so; \
            reads go on. Nothing that was acknowledged is lost.
            """,
        remedy: """
            Free space on the file system of the data directory, or enlarge it. Writes are taken \
            again by themselves; no restart is needed.
            """
    )

    package static let diskFullEnded = JournalEvent(
        "PDB0109",
        "8aae5a3df38d495abd94a8672a8912d6",
        .notice,
        "The disk has space again and writes are taken",
        explanation: "Free space is above the reserve again.",
        remedy: "Watch the free space (see the metrics), so that it does not come to this again."
    )
}
