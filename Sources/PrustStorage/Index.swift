package import PrustCore
internal import Synchronization

/// Finds the newest record of each key: a table in SQLite, key ID to location.
///
/// It is never synced when somebody waits for a write, and can always be made again from the
/// segments. What makes it safe all the same: the position up to which the log is in it is written
/// in the same transaction as the entries; SQLite's write-ahead log keeps transactions whole; the
/// write-ahead log is synced before its pages are copied, and the database before the write-ahead
/// log starts anew. The syncs are ours, outside the lock, so that no lookup waits for a disk.
package final class Index: Sendable {
    /// Rows of one transaction; lookups get in between two of them.
    private static let transactionRowCount = 1000
    /// A checkpoint is made when the write-ahead log is longer.
    private static let logByteCountMax: UInt64 = 64 * 1024 * 1024
    package static let scanCountMax = 10_000

    /// Rows that a check reads before it lets lookups in.
    private static let verifyRowCount = 1000

    private struct State {
        var connection: IndexConnection?
    }

    private struct Health {
        /// Why it takes no more changes.
        var failure: IndexError?
        var isFailing = false
    }

    private let files: IndexFiles
    private let state: Mutex<State>
    /// Apart from the connection: the log's writer asks, and must not wait for a lookup.
    private let health = Mutex(Health())
    /// Keys with a value and transactions so far, for those who must not wait either.
    private let liveCount = Atomic<Int>(0)
    private let changeCount = Atomic<UInt64>(0)
    /// One change at a time: held by ``apply(_:position:isFinal:progress:)`` and
    /// ``checkpoint(progress:)``.
    private let writing = Mutex(())

    /// Opens an existing index.
    static func open(
        files: IndexFiles,
        storageID: StorageID,
        cacheByteCount: Int
    ) throws(IndexError) -> Index {
        let connection = try IndexConnection(files: files, cacheByteCount: cacheByteCount)
        try connection.load(storageID)
        return Index(files: files, connection: connection)
    }

    /// Makes an empty index; there must be no file of an old one.
    static func create(
        files: IndexFiles,
        storageID: StorageID,
        cacheByteCount: Int
    ) throws(IndexError) -> Index {
        let connection = try IndexConnection(files: files, cacheByteCount: cacheByteCount)
        try connection.create(storageID)
        try connection.load(storageID)
        let index = Index(files: files, connection: connection)
        // Syncs the names of the new files too.
        try index.checkpoint()
        return index
    }

    private init(files: IndexFiles, connection: sending IndexConnection) {
        self.files = files
        self.liveCount.store(connection.count, ordering: .relaxed)
        self.state = Mutex(State(connection: connection))
    }

    /// Keys with a value; those that have expired and were not replaced count.
    package var count: Int { self.liveCount.load(ordering: .relaxed) }

    /// Everything before this in the log is in the index.
    package var position: LogPosition {
        self.state.withLock { $0.connection?.position ?? .start }
    }

    /// The highest hybrid logical time of a version that was ever applied.
    package var newestHLC: UInt64 { self.state.withLock { $0.connection?.newestHLC ?? 0 } }

    /// Bytes on disk.
    package var byteCount: UInt64 { (try? self.files.byteCount()) ?? 0 }

    /// Why the index takes no more changes, `nil` while it does.
    package var failure: IndexError? { self.health.withLock { $0.failure } }

    /// What is known of a key, tombstones and expired entries included.
    package func lookup(_ keyID: KeyID) throws(IndexError) -> IndexEntry? {
        try self.withConnection { (connection) throws(IndexError) in
            try connection.lookup(keyID)
        }
    }

    /// The same for many keys at once.
    package func lookup(_ keyIDs: [KeyID]) throws(IndexError) -> [IndexEntry?] {
        try self.withConnection { (connection) throws(IndexError) in
            var entries: [IndexEntry?] = []
            entries.reserveCapacity(keyIDs.count)
            for keyID in keyIDs { entries.append(try connection.lookup(keyID)) }
            return entries
        }
    }

    /// Entries in the order of their key IDs, tombstones and expired entries included.
    package func scan(
        from first: KeyID,
        through last: KeyID,
        limit: Int
    ) throws(IndexError) -> [IndexEntry] {
        let limit = max(0, min(limit, Self.scanCountMax))
        return try self.withConnection { (connection) throws(IndexError) in
            try connection.scan(from: first, through: last, limit: limit)
        }
    }

    /// Writes entries of durable records, in transactions of bounded size.
    ///
    /// An entry whose version is lower than the one that is there changes nothing.
    ///
    /// - Parameters:
    ///   - sorted: The entries in the order of their key IDs, which makes this quick.
    ///   - position: Where the log is in the index up to, once the last part has been applied.
    ///   - isFinal: This is the last part: the position holds from now on.
    ///   - progress: Called after each transaction and each step of a checkpoint; changes wait
    ///     for it, so it must make none.
    /// - Throws: `.full` when the last transaction was not written, else the index has stopped.
    package func apply(
        _ sorted: [IndexEntry],
        position: LogPosition,
        isFinal: Bool,
        progress: () -> Void = {}
    ) throws(IndexError) {
        try self.writing.withLock { (_) throws(IndexError) in
            var rest = sorted[...]
            repeat {
                let rows = rest.prefix(Self.transactionRowCount)
                rest = rest.dropFirst(rows.count)
                let saved = isFinal && rest.isEmpty ? position : nil
                try self.change { (connection) throws(IndexError) in
                    try connection.apply(rows, position: saved)
                    self.liveCount.store(connection.count, ordering: .relaxed)
                    self.changeCount.wrappingAdd(1, ordering: .relaxed)
                }
                progress()
                if self.files.walByteCount > Self.logByteCountMax {
                    try self.bringHome(progress)
                }
            } while !rest.isEmpty
        }
    }

    /// Brings the write-ahead log into the database and makes both durable.
    ///
    /// - Parameter progress: Called after each of its steps; changes wait for it.
    /// - Throws: Why the index has stopped, or `.full`.
    package func checkpoint(progress: () -> Void = {}) throws(IndexError) {
        try self.writing.withLock { (_) throws(IndexError) in try self.bringHome(progress) }
    }

    /// Reads all of it, a slice at a time so that lookups get in between, and names what is wrong.
    ///
    /// Every page has a checksum and every row is checked as it is read; here come their order
    /// and, unless the index is changed meanwhile, the number of live keys.
    package func verify() throws(IndexError) -> [String] {
        let before = self.changeCount.load(ordering: .relaxed)
        var liveCount = 0
        var last: KeyID?
        while true {
            let first = last ?? .first
            let rows = try self.scan(from: first, through: .last, limit: Self.verifyRowCount)
            for row in rows where row.keyID != last {
                if let last, row.keyID < last {
                    return ["the row of \(row.keyID) does not come after that of \(last)"]
                }
                last = row.keyID
                if !row.isTombstone { liveCount += 1 }
            }
            if rows.count < Self.verifyRowCount { break }
        }
        let count = self.count
        guard self.changeCount.load(ordering: .relaxed) == before, liveCount != count else {
            return []
        }
        return ["\(liveCount) live keys, but \(count) were counted"]
    }

    /// Makes it durable and closes it; nothing is lost if that fails, only time at the next start.
    package func close() {
        do throws(IndexError) {
            if self.failure == nil { try self.checkpoint() }
        } catch {
            self.files.freeze()
        }
        self.state.withLock { $0.connection = nil }
        self.health.withLock { $0.failure = IndexError(.closed, "the index is closed") }
    }

    // MARK: - Private

    private func bringHome(_ progress: () -> Void) throws(IndexError) {
        try self.synced { () throws(FileError) in try self.files.syncWAL() }
        progress()
        try self.change { (connection) throws(IndexError) in
            try connection.checkpoint(truncates: false)
        }
        progress()
        try self.synced { () throws(FileError) in try self.files.syncDatabase() }
        progress()
        try self.change { (connection) throws(IndexError) in
            try connection.checkpoint(truncates: true)
        }
        progress()
    }

    private func synced(_ body: () throws(FileError) -> Void) throws(IndexError) {
        if let failure = self.failure { throw failure }
        do throws(FileError) {
            try body()
        } catch {
            throw self.fail(IndexError(.failed, "\(error)"))
        }
    }

    private func change(
        _ body: @Sendable (IndexConnection) throws(IndexError) -> Void
    ) throws(IndexError) {
        if let failure = self.failure { throw failure }
        do throws(IndexError) {
            try self.withConnection(body)
        } catch {
            // A full disk has changed nothing; anything else leaves the files in doubt.
            guard error.kind == .full else { throw self.fail(error) }
            throw error
        }
    }

    private func withConnection<R: Sendable>(
        _ body: @Sendable (IndexConnection) throws(IndexError) -> R
    ) throws(IndexError) -> R {
        do throws(IndexError) {
            return try self.state.withLock { (state) throws(IndexError) -> R in
                guard let connection = state.connection else {
                    throw IndexError(.closed, "the index is closed")
                }
                return try body(connection)
            }
        } catch {
            throw error.kind == .damaged ? self.fail(error) : error
        }
    }

    /// Stops all changes.
    ///
    /// Files that cannot be trusted are removed, so that the next start makes the index again.
    private func fail(_ error: IndexError) -> IndexError {
        self.files.freeze()
        let isFirst = self.health.withLock { health in
            defer { health.isFailing = true }
            return !health.isFailing
        }
        if isFirst, error.kind == .damaged || self.files.isSyncFailed {
            // If they cannot be removed, the damage is found again at the next start.
            do throws(FileError) { try self.files.remove() } catch {}
        }
        // Told last: whoever opens the index again must not have its new files removed.
        if isFirst { self.health.withLock { $0.failure = $0.failure ?? error } }
        return error
    }
}
