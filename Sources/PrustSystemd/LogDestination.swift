import Glibc
package import Logging

/// Where log messages go: the journal under systemd, else lines on standard error.
package enum LogDestination: Equatable, Sendable {
    case journal
    case console(colour: Bool)

    /// Looks at `$JOURNAL_STREAM` and standard error.
    ///
    /// The variable alone says nothing: it is inherited by programs whose output goes elsewhere. The
    /// journal is chosen only when standard error still is the stream that the variable names.
    package static func detect() -> LogDestination {
        var status = stat()
        if fstat(STDERR_FILENO, &status) == 0,
            Self.isJournal(
                stream: ProcessEnvironment.value("JOURNAL_STREAM"),
                device: UInt64(status.st_dev),
                inode: UInt64(status.st_ino)
            )
        {
            return .journal
        }
        let isTerminal = isatty(STDERR_FILENO) == 1
        let isPlain =
            ProcessEnvironment.value("NO_COLOR") != nil
            || ProcessEnvironment.value("TERM") == "dumb"
        return .console(colour: isTerminal && !isPlain)
    }

    /// Whether a file is the one of `$JOURNAL_STREAM`, which has the form `device:inode`.
    package static func isJournal(stream: String?, device: UInt64, inode: UInt64) -> Bool {
        guard let parts = stream?.split(separator: ":", omittingEmptySubsequences: false),
            parts.count == 2
        else { return false }
        return UInt64(parts[0]) == device && UInt64(parts[1]) == inode
    }

    /// A logger that writes there.
    package func logger(label: String, level: LogLevelControl) -> Logger {
        Logger(label: label) { label in
            switch self {
            case .journal: JournalLogHandler(label: label, level: level)
            case .console(let colour): ConsoleLogHandler(label: label, colour: colour, level: level)
            }
        }
    }
}
