internal import CSQLite

/// SQLite's result codes: those that its header composes, and all of them in our words.
enum IndexCode {
    static let readFailed = SQLITE_IOERR | 1 << 8
    static let shortRead = SQLITE_IOERR | 2 << 8
    static let writeFailed = SQLITE_IOERR | 3 << 8
    static let syncFailed = SQLITE_IOERR | 4 << 8
    static let truncateFailed = SQLITE_IOERR | 6 << 8
    static let sizeFailed = SQLITE_IOERR | 7 << 8
    static let deleteFailed = SQLITE_IOERR | 10 << 8
    static let accessFailed = SQLITE_IOERR | 13 << 8
    static let deleteNotFound = SQLITE_IOERR | 23 << 8

    static func error(_ code: Int32) -> IndexError {
        IndexError(Self.kind(code), String(cString: sqlite3_errstr(code)))
    }

    /// Where our files have had no trouble, which has words of its own, what SQLite does not like
    /// is what it reads: that will be the same at the next start.
    private static func kind(_ code: Int32) -> IndexError.Kind {
        if code == Self.shortRead { return .damaged }
        switch code & 0xFF {
        case SQLITE_FULL: return .full
        case SQLITE_IOERR, SQLITE_NOMEM, SQLITE_BUSY, SQLITE_LOCKED, SQLITE_INTERRUPT,
            SQLITE_INTERNAL, SQLITE_MISUSE:
            return .failed
        default: return .damaged
        }
    }
}
