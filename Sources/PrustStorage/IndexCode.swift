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

    private static func kind(_ code: Int32) -> IndexError.Kind {
        switch code & 0xFF {
        case SQLITE_FULL: .full
        case SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_MISMATCH,
            SQLITE_SCHEMA:
            .damaged
        default: .failed
        }
    }
}
