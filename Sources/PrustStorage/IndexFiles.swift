internal import CSQLite
internal import Synchronization

/// The files of one index over our file protocol, and what went wrong with them.
///
/// SQLite is told only a code; the reason waits here for whoever reports it.
final class IndexFiles: Sendable {
    private struct State {
        var database: (any File)?
        var wal: (any File)?
        var failure: FileError?
        var damage: String?
        var isSyncFailed = false
        var isDatabaseDoubtful = false
        var isFrozen = false
        var isDirectorySynced = false
    }

    let fileSystem: any FileSystem
    let directory: String
    private let state = Mutex(State())

    init(fileSystem: any FileSystem, directory: String) {
        self.fileSystem = fileSystem
        self.directory = directory
    }

    var databasePath: String { "\(self.directory)/index.db" }
    var walPath: String { "\(self.directory)/index.db-wal" }

    /// After a failed sync or damage nothing may change on disk any more.
    var isFrozen: Bool { self.state.withLock { $0.isFrozen } }

    func freeze() {
        self.state.withLock { $0.isFrozen = true }
    }

    var isSyncFailed: Bool { self.state.withLock { $0.isSyncFailed } }

    /// A sync of the database has failed: its pages may read as they were before.
    var isDatabaseDoubtful: Bool { self.state.withLock { $0.isDatabaseDoubtful } }

    /// The reason of the latest error, taken away.
    func takeReason() -> (failure: FileError?, damage: String?) {
        self.state.withLock { state in
            defer {
                state.failure = nil
                state.damage = nil
            }
            return (state.failure, state.damage)
        }
    }

    func note(_ error: FileError, _ code: Int32) -> Int32 {
        self.state.withLock { $0.failure = error }
        return error.isNoSpace ? SQLITE_FULL : code
    }

    func noteSyncFailure(_ error: FileError, isDatabase: Bool) {
        self.state.withLock { state in
            state.failure = error
            state.isSyncFailed = true
            if isDatabase { state.isDatabaseDoubtful = true }
            state.isFrozen = true
        }
    }

    func damage(_ reason: String, at offset: UInt64) -> Int32 {
        self.state.withLock { $0.damage = "\(reason) (offset \(offset))" }
        return IndexCode.readFailed
    }

    func open(_ path: String, _ flags: Int32) throws(FileError) -> IndexFile {
        let isNew = flags & SQLITE_OPEN_CREATE != 0
        let file = try self.fileSystem.open(path, isNew ? .createOrOpen : .readWrite)
        var role = IndexFile.Role.other
        if flags & SQLITE_OPEN_MAIN_DB != 0 {
            role = .database
            self.state.withLock { $0.database = file }
        } else if flags & SQLITE_OPEN_WAL != 0 {
            role = .wal
            self.state.withLock { $0.wal = file }
        }
        return IndexFile(file: file, role: role, files: self)
    }

    /// Makes the write-ahead log durable; on the file itself, so without SQLite's lock.
    ///
    /// Its name too: a database that is half written is worth nothing without its log.
    func syncWAL() throws(FileError) {
        try self.sync(self.state.withLock { $0.wal }, isDatabase: false)
        guard !self.state.withLock({ $0.isDirectorySynced }) else { return }
        do throws(FileError) {
            try self.fileSystem.syncDirectory(self.directory)
        } catch {
            self.noteSyncFailure(error, isDatabase: false)
            throw error
        }
        self.state.withLock { $0.isDirectorySynced = true }
    }

    func syncDatabase() throws(FileError) {
        try self.sync(self.state.withLock { $0.database }, isDatabase: true)
    }

    private func sync(_ file: (any File)?, isDatabase: Bool) throws(FileError) {
        do throws(FileError) {
            try file?.syncData()
        } catch {
            self.noteSyncFailure(error, isDatabase: isDatabase)
            throw error
        }
    }

    /// Bytes on disk.
    func byteCount() throws(FileError) -> UInt64 {
        let files = self.state.withLock { ($0.database, $0.wal) }
        return try (files.0?.size() ?? 0) + (files.1?.size() ?? 0)
    }

    /// Bytes of the write-ahead log; 0 when nobody knows.
    var walByteCount: UInt64 {
        let wal = self.state.withLock { $0.wal }
        return (try? wal?.size()) ?? 0
    }

    /// Forgets the open files, so that they close with SQLite's own references.
    func closeAll() {
        self.state.withLock { state in
            state.database = nil
            state.wal = nil
        }
    }

    /// Deletes the index for good.
    ///
    /// The database goes first, durably: one whose write-ahead log is gone may be half of two
    /// states, while a log without its database is only a file without meaning.
    func remove() throws(FileError) {
        for path in [self.databasePath, self.walPath, self.databasePath + "-journal"] {
            do throws(FileError) {
                try self.fileSystem.unlink(path)
                try self.fileSystem.syncDirectory(self.directory)
            } catch {
                guard error.isNotFound else { throw error }
            }
        }
    }

    func exists(_ path: String) throws(FileError) -> Bool {
        do throws(FileError) {
            return try self.fileSystem.open(path, .read).size() > 0
        } catch {
            guard error.isNotFound else { throw error }
            return false
        }
    }
}
