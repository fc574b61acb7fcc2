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

    private struct State {
        var connection: IndexConnection?
        /// Why it takes no more changes.
        var failure: IndexError?
        var isFailing = false
    }

    private let files: IndexFiles
    private let state: Mutex<State>
    /// One change at a time: held by ``apply(_:position:isFinal:)`` and ``checkpoint()``.
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
        self.state = Mutex(State(connection: connection, failure: nil))
    }

    /// Keys with a value; those that have expired and were not replaced count.
    package var count: Int { self.state.withLock { $0.connection?.count ?? 0 } }

    /// Everything before this in the log is in the index.
    package var position: LogPosition {
        self.state.withLock { $0.connection?.position ?? .start }
    }

    /// The highest hybrid logical time of a version that was ever applied.
    package var newestHLC: UInt64 { self.state.withLock { $0.connection?.newestHLC ?? 0 } }

    /// Bytes on disk.
    package var byteCount: UInt64 { (try? self.files.byteCount()) ?? 0 }

    /// Why the index takes no more changes, `nil` while it does.
    package var failure: IndexError? { self.state.withLock { $0.failure } }

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
    /// - Throws: `.full` when the last transaction was not written, else the index has stopped.
    package func apply(
        _ sorted: [IndexEntry],
        position: LogPosition,
        isFinal: Bool
    ) throws(IndexError) {
        try self.writing.withLock { (_) throws(IndexError) in
            var rest = sorted[...]
            repeat {
                let rows = rest.prefix(Self.transactionRowCount)
                rest = rest.dropFirst(rows.count)
                let saved = isFinal && rest.isEmpty ? position : nil
                try self.change { (connection) throws(IndexError) in
                    try connection.apply(rows, position: saved)
                }
                if self.files.walByteCount > Self.logByteCountMax { try self.bringHome() }
            } while !rest.isEmpty
        }
    }

    /// Brings the write-ahead log into the database and makes both durable.
    package func checkpoint() throws(IndexError) {
        try self.writing.withLock { (_) throws(IndexError) in try self.bringHome() }
    }

    /// Reads all of it and names what is wrong.
    package func verify() throws(IndexError) -> [String] {
        try self.withConnection { (connection) throws(IndexError) in try connection.verify() }
    }

    /// Makes it durable and closes it; nothing is lost if that fails, only time at the next start.
    package func close() {
        do throws(IndexError) {
            if self.failure == nil { try self.checkpoint() }
        } catch {
            self.files.freeze()
        }
        self.state.withLock { state in
            state.connection = nil
            state.failure = IndexError(.closed, "the index is closed")
        }
    }

    // MARK: - Private

    private func bringHome() throws(IndexError) {
        try self.synced { () throws(FileError) in try self.files.syncWAL() }
        try self.change { (connection) throws(IndexError) in
            try connection.checkpoint(truncates: false)
        }
        try self.synced { () throws(FileError) in try self.files.syncDatabase() }
        try self.change { (connection) throws(IndexError) in
            try connection.checkpoint(truncates: true)
        }
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
        let isFirst = self.state.withLock { state in
            defer { state.isFailing = true }
            return !state.isFailing
        }
        if isFirst, error.kind == .damaged || self.files.isSyncFailed {
            // If they cannot be removed, the damage is found again at the next start.
            do throws(FileError) { try self.files.remove() } catch {}
        }
        // Told last: whoever opens the index again must not have its new files removed.
        if isFirst { self.state.withLock { $0.failure = $0.failure ?? error } }
        return error
    }
}
