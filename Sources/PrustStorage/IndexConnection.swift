internal import CSQLite
internal import PrustCore

/// The one SQLite connection of an index with its statements.
///
/// Not `Sendable`: ``Index`` keeps it in a mutex.
final class IndexConnection {
    static let formatVersion: Int64 = 1
    private static let versionByteCount = 28
    private static let tombstoneFlag: Int64 = 1

    private let files: IndexFiles
    // The order matters: statements go before the database, and that before its file system.
    private let vfs: IndexVFS
    private var database: OpaquePointer?
    private var statements: Statements?
    private let keyMemory: UnsafeMutableRawBufferPointer
    private let lastKeyMemory: UnsafeMutableRawBufferPointer
    private let versionMemory: UnsafeMutableRawBufferPointer
    private(set) var position = LogPosition.start
    private(set) var count = 0
    private(set) var newestHLC: UInt64 = 0

    private struct Statements {
        let begin: IndexStatement
        let commit: IndexStatement
        let rollback: IndexStatement
        let lookup: IndexStatement
        let insert: IndexStatement
        let update: IndexStatement
        let scan: IndexStatement
        let saveMeta: IndexStatement
        let loadMeta: IndexStatement

        init(_ database: OpaquePointer) throws(IndexError) {
            func prepare(_ text: String) throws(IndexError) -> IndexStatement {
                try IndexStatement(database, text)
            }
            let columns = "segment, offset, length, flags, expires_at, version"
            self.begin = try prepare("BEGIN IMMEDIATE")
            self.commit = try prepare("COMMIT")
            self.rollback = try prepare("ROLLBACK")
            self.lookup = try prepare("SELECT \(columns) FROM entries WHERE key_id = ?1")
            self.insert = try prepare(
                "INSERT INTO entries(key_id, \(columns)) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"
            )
            self.update = try prepare(
                """
                UPDATE entries SET segment = ?2, offset = ?3, length = ?4, flags = ?5,
                    expires_at = ?6, version = ?7 WHERE key_id = ?1
                """
            )
            self.scan = try prepare(
                """
                SELECT \(columns), key_id FROM entries WHERE key_id BETWEEN ?1 AND ?2
                    ORDER BY key_id LIMIT ?3
                """
            )
            self.saveMeta = try prepare(
                "UPDATE meta SET segment = ?1, offset = ?2, live = ?3, newest_hlc = ?4"
            )
            self.loadMeta = try prepare(
                "SELECT format, segment, offset, live, newest_hlc, storage_id FROM meta"
            )
        }
    }

    init(files: IndexFiles, cacheByteCount: Int) throws(IndexError) {
        self.files = files
        self.vfs = try IndexVFS(files: files)
        self.keyMemory = .allocate(byteCount: Identifier256.byteCount, alignment: 8)
        self.lastKeyMemory = .allocate(byteCount: Identifier256.byteCount, alignment: 8)
        self.versionMemory = .allocate(byteCount: Self.versionByteCount, alignment: 8)
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
        try self.check(sqlite3_open_v2(files.databasePath, &self.database, flags, self.vfs.name))
        sqlite3_extended_result_codes(self.database, 1)
        try self.run("PRAGMA page_size = \(IndexPage.byteCount)")
        var reserved = Int32(IndexPage.reservedByteCount)
        try self.check(
            sqlite3_file_control(self.database, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved)
        )
        // Our own lock keeps other processes out. Without SQLite's there is no shared memory.
        try self.run("PRAGMA locking_mode = EXCLUSIVE")
        // ``Index/checkpoint()`` and ``IndexFile/write(_:at:)`` sync where it matters.
        try self.run("PRAGMA synchronous = OFF")
        try self.run("PRAGMA journal_mode = WAL")
        try self.run("PRAGMA wal_autocheckpoint = 0")
        try self.run("PRAGMA temp_store = MEMORY")
        try self.run("PRAGMA cache_size = -\(max(1024, cacheByteCount / 1024))")
    }

    deinit {
        self.statements = nil
        // Nothing may be written on the way out; ``Index/close()`` has brought it all home.
        self.files.freeze()
        sqlite3_close_v2(self.database)
        self.keyMemory.deallocate()
        self.lastKeyMemory.deallocate()
        self.versionMemory.deallocate()
        self.files.closeAll()
    }

    /// Makes the tables of a new index.
    func create(_ storageID: StorageID) throws(IndexError) {
        try self.run("BEGIN IMMEDIATE")
        try self.run(
            """
            CREATE TABLE entries(key_id BLOB PRIMARY KEY, segment INTEGER NOT NULL,
                offset INTEGER NOT NULL, length INTEGER NOT NULL, flags INTEGER NOT NULL,
                expires_at INTEGER NOT NULL, version BLOB NOT NULL) WITHOUT ROWID, STRICT
            """
        )
        try self.run(
            """
            CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK (id = 0), format INTEGER NOT NULL,
                storage_id BLOB NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL,
                live INTEGER NOT NULL, newest_hlc INTEGER NOT NULL) STRICT
            """
        )
        try self.run(
            "INSERT INTO meta VALUES(0, \(Self.formatVersion), x'\(storageID)', 0, 0, 0, 0)"
        )
        try self.run("COMMIT")
    }

    /// Prepares the statements and reads the meta table of an existing index.
    func load(_ storageID: StorageID) throws(IndexError) {
        guard let database = self.database else { throw IndexError(.closed, "closed") }
        let statements = try self.reasoned { () throws(IndexError) in try Statements(database) }
        for statement in [statements.lookup, statements.insert, statements.update] {
            statement.bind(1, fixed: self.keyMemory)
        }
        statements.insert.bind(7, fixed: self.versionMemory)
        statements.update.bind(7, fixed: self.versionMemory)
        statements.scan.bind(1, fixed: self.keyMemory)
        statements.scan.bind(2, fixed: self.lastKeyMemory)
        let meta = statements.loadMeta
        defer { meta.reset() }
        try self.check(meta.step(), expected: SQLITE_ROW)
        guard meta.integer(0) == Self.formatVersion else {
            throw IndexError(.damaged, "the index has format \(meta.integer(0))")
        }
        guard meta.bytes(5).elementsEqual(storageID.identifier.bytes) else {
            throw IndexError(.damaged, "the index belongs to another storage directory")
        }
        guard let segment = UInt32(exactly: meta.integer(1)),
            let offset = UInt32(exactly: meta.integer(2)), let count = Int(exactly: meta.integer(3))
        else { throw IndexError(.damaged, "the index's meta table is out of range") }
        self.position = LogPosition(segment: segment, offset: offset)
        self.count = count
        self.newestHLC = UInt64(bitPattern: meta.integer(4))
        self.statements = statements
    }

    func lookup(_ keyID: KeyID) throws(IndexError) -> IndexEntry? {
        guard let statements = self.statements else { throw IndexError(.closed, "closed") }
        self.store(keyID, self.keyMemory)
        return try self.find(statements.lookup, keyID)
    }

    /// Writes rows, with the position if there is one, in one transaction.
    func apply(
        _ entries: ArraySlice<IndexEntry>,
        position: LogPosition?
    ) throws(IndexError) {
        guard let statements = self.statements else { throw IndexError(.closed, "closed") }
        let before = (self.count, self.newestHLC)
        do throws(IndexError) {
            try self.once(statements.begin)
            for entry in entries { try self.put(entry, statements) }
            let saved = position ?? self.position
            statements.saveMeta.bind(1, Int64(saved.segment))
            statements.saveMeta.bind(2, Int64(saved.offset))
            statements.saveMeta.bind(3, Int64(self.count))
            statements.saveMeta.bind(4, Int64(bitPattern: self.newestHLC))
            try self.once(statements.saveMeta)
            try self.once(statements.commit)
            self.position = saved
        } catch {
            (self.count, self.newestHLC) = before
            // SQLite has rolled back by itself after most errors; then this one fails.
            _ = statements.rollback.step()
            statements.rollback.reset()
            throw error
        }
    }

    func scan(
        from first: KeyID,
        through last: KeyID,
        limit: Int
    ) throws(IndexError) -> [IndexEntry] {
        guard let statements = self.statements else { throw IndexError(.closed, "closed") }
        self.store(first, self.keyMemory)
        self.store(last, self.lastKeyMemory)
        statements.scan.bind(3, Int64(limit))
        defer { statements.scan.reset() }
        var entries: [IndexEntry] = []
        while true {
            let code = statements.scan.step()
            guard code == SQLITE_ROW else {
                try self.check(code, expected: SQLITE_DONE)
                return entries
            }
            guard let keyID = KeyID(bytes: statements.scan.bytes(6)) else {
                throw IndexError(.damaged, "a key ID in the index is not 32 bytes long")
            }
            entries.append(try self.entry(statements.scan, keyID))
        }
    }

    /// Copies the write-ahead log into the database; nothing is synced here.
    func checkpoint(truncates: Bool) throws(IndexError) {
        var logCount: Int32 = 0
        var doneCount: Int32 = 0
        try self.check(
            sqlite3_wal_checkpoint_v2(
                self.database,
                nil,
                truncates ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
                &logCount,
                &doneCount
            )
        )
        guard logCount == doneCount else {
            throw IndexError(.failed, "a checkpoint of the index was not complete")
        }
    }

    // MARK: - Private

    private func put(_ entry: IndexEntry, _ statements: Statements) throws(IndexError) {
        self.store(entry.keyID, self.keyMemory)
        let known = try self.find(statements.lookup, entry.keyID)
        self.newestHLC = max(self.newestHLC, entry.version.hlc)
        if let known, entry.version < known.version { return }
        let statement = known == nil ? statements.insert : statements.update
        self.store(entry.version)
        statement.bind(2, Int64(entry.location.segment))
        statement.bind(3, Int64(entry.location.offset))
        statement.bind(4, Int64(entry.location.byteCount))
        statement.bind(5, entry.isTombstone ? Self.tombstoneFlag : 0)
        statement.bind(6, entry.expiresAt)
        try self.once(statement)
        let wasLive = known.map { !$0.isTombstone } ?? false
        if wasLive, entry.isTombstone { self.count -= 1 }
        if !wasLive, !entry.isTombstone { self.count += 1 }
    }

    /// Runs a lookup whose key is in place.
    private func find(
        _ statement: IndexStatement,
        _ keyID: KeyID
    ) throws(IndexError) -> IndexEntry? {
        defer { statement.reset() }
        let code = statement.step()
        if code == SQLITE_DONE { return nil }
        try self.check(code, expected: SQLITE_ROW)
        return try self.entry(statement, keyID)
    }

    private func entry(
        _ row: IndexStatement,
        _ keyID: KeyID
    ) throws(IndexError) -> IndexEntry {
        let bytes = row.bytes(5)
        guard let segment = UInt32(exactly: row.integer(0)),
            let offset = UInt32(exactly: row.integer(1)),
            let byteCount = UInt32(exactly: row.integer(2)), bytes.count == Self.versionByteCount
        else { throw IndexError(.damaged, "a row of the index is out of range") }
        func load<T: FixedWidthInteger>(_ at: Int, _ type: T.Type) -> T {
            T(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: type))
        }
        let term = Ballot(
            epoch: load(0, UInt32.self),
            round: load(4, UInt32.self),
            index: load(8, UInt32.self)
        )
        return IndexEntry(
            keyID: keyID,
            location: Location(segment: segment, offset: offset, byteCount: byteCount),
            version: Version(
                term: term,
                hlc: load(12, UInt64.self),
                writer: load(20, UInt32.self),
                count: load(24, UInt32.self)
            ),
            expiresAt: row.integer(4),
            isTombstone: row.integer(3) & Self.tombstoneFlag != 0
        )
    }

    private func store(_ keyID: KeyID, _ memory: UnsafeMutableRawBufferPointer) {
        let identifier = keyID.identifier
        memory.storeBytes(of: identifier.word0.bigEndian, toByteOffset: 0, as: UInt64.self)
        memory.storeBytes(of: identifier.word1.bigEndian, toByteOffset: 8, as: UInt64.self)
        memory.storeBytes(of: identifier.word2.bigEndian, toByteOffset: 16, as: UInt64.self)
        memory.storeBytes(of: identifier.word3.bigEndian, toByteOffset: 24, as: UInt64.self)
    }

    /// Big-endian, in the order in which versions compare.
    private func store(_ version: Version) {
        let memory = self.versionMemory
        memory.storeBytes(of: version.term.epoch.bigEndian, toByteOffset: 0, as: UInt32.self)
        memory.storeBytes(of: version.term.round.bigEndian, toByteOffset: 4, as: UInt32.self)
        memory.storeBytes(of: version.term.index.bigEndian, toByteOffset: 8, as: UInt32.self)
        memory.storeBytes(of: version.hlc.bigEndian, toByteOffset: 12, as: UInt64.self)
        memory.storeBytes(of: version.writer.bigEndian, toByteOffset: 20, as: UInt32.self)
        memory.storeBytes(of: version.count.bigEndian, toByteOffset: 24, as: UInt32.self)
    }

    private func once(_ statement: IndexStatement) throws(IndexError) {
        let code = statement.step()
        statement.reset()
        try self.check(code, expected: SQLITE_DONE)
    }

    private func run(_ text: String) throws(IndexError) {
        try self.check(sqlite3_exec(self.database, text, nil, nil, nil))
    }

    private func check(_ code: Int32, expected: Int32 = SQLITE_OK) throws(IndexError) {
        guard code != expected else { return }
        try self.reasoned { () throws(IndexError) in
            throw IndexCode.error(code)
        }
    }

    /// Puts what our file protocol said in place of SQLite's words for it.
    private func reasoned<R>(_ body: () throws(IndexError) -> R) throws(IndexError) -> R {
        do throws(IndexError) {
            return try body()
        } catch {
            let reason = self.files.takeReason()
            if let damage = reason.damage { throw IndexError(.damaged, damage) }
            guard let failure = reason.failure else { throw error }
            let isFull = failure.isNoSpace && !self.files.isSyncFailed
            throw IndexError(isFull ? .full : .failed, "\(failure)")
        }
    }
}
