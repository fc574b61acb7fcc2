internal import PrustCore
package import PrustStorage

/// A store over log, index and reader without a thread or a clock, one call after the other: what
/// the engine of a node does, small enough to run thousands of times under faults.
package final class SynchronousStore {
    /// Mistakes that a checker must find, planted on purpose.
    package enum Bug: Sendable {
        case none
        /// Says that a write is durable when it is only in memory.
        case acknowledgesBeforeCommit
        /// Takes a failed commit for a good one.
        case ignoresFailedCommit
        /// Moves the index's position beyond entries that it has not applied.
        case positionBeforeEntries
    }

    /// What happened to writes, for a model of what must be there.
    package enum Event: Sendable {
        /// A write is in the open group; `nil` deletes.
        case issued([UInt8], [UInt8]?)
        /// All writes so far were said to be durable.
        case acknowledged
        /// The writes since the last acknowledgement were said to be void.
        case voided
    }

    private struct Entry {
        var entry: IndexEntry
        /// `nil` if it could not be read at the start: a later read may do better.
        var value: [UInt8]?
    }

    package let storage: Storage
    package let log: SegmentLog
    private let bug: Bug
    private var table: [KeyID: Entry] = [:]
    private var open: [(entry: IndexEntry, value: [UInt8])] = []
    private var clock: UInt64
    /// Records that recovery handed over.
    package private(set) var replayedCount = 0
    package private(set) var events: [Event] = []

    package init(
        directory: String,
        fileSystem: any FileSystem,
        options: StorageOptions,
        bug: Bug = .none
    ) throws(StorageError) {
        var replayed: [(RecordHeader, KeyID, Location)] = []
        self.storage = try Storage.open(
            directory: directory,
            fileSystem: fileSystem,
            options: options,
            hash: SimulatedHash.keyID(of:),
            sink: { header, keyID, _, location in replayed.append((header, keyID, location)) }
        )
        self.log = try self.storage.makeLog()
        self.bug = bug
        self.clock = self.storage.report.newestHLC
        self.replayedCount = replayed.count
        for (header, keyID, location) in replayed {
            let fields = header.fields
            let entry = IndexEntry(
                keyID: keyID,
                location: location,
                version: fields.version,
                expiresAt: fields.expiresAt,
                isTombstone: fields.isTombstone
            )
            if let known = self.table[keyID], known.entry.version > entry.version { continue }
            self.table[keyID] = Entry(entry: entry, value: nil)
        }
        for keyID in self.table.keys.sorted() {
            guard let entry = self.table[keyID]?.entry, !entry.isTombstone else { continue }
            // A record that recovery has just read is only unreadable on a broken disk; the entry
            // stays, and a read of it says what is wrong.
            self.table[keyID]?.value = try? self.storage.reader.value(
                entry.location,
                keyID: keyID
            )
        }
    }

    /// Adds a write to the open group, durable when ``commit()`` has returned; `nil` deletes.
    package func put(_ key: [UInt8], _ value: [UInt8]?) throws(StorageError) {
        self.clock += 1
        let version = Version(term: .zero, hlc: self.clock, writer: 1, count: 0)
        let fields = RecordFields(
            version: version,
            writtenAt: self.clock,
            isTombstone: value == nil
        )
        var location = try self.append(fields, key, value ?? [])
        if location == nil {
            try self.commit()
            location = try self.append(fields, key, value ?? [])
        }
        guard let location else { throw .failed("an empty group did not take a record") }
        let entry = IndexEntry(
            keyID: key.withUnsafeBytes { SimulatedHash.keyID(of: $0) },
            location: location,
            version: version,
            expiresAt: 0,
            isTombstone: value == nil
        )
        self.open.append((entry, value ?? []))
        self.events.append(.issued(key, value))
        if self.bug == .acknowledgesBeforeCommit { self.publish() }
    }

    package func commit() throws(StorageError) {
        do throws(StorageError) {
            try self.log.commit()
        } catch {
            guard self.bug == .ignoresFailedCommit else {
                self.open = []
                if case .full = error { self.events.append(.voided) }
                throw error
            }
        }
        self.publish()
    }

    package func get(_ key: [UInt8]) throws(StorageError) -> [UInt8]? {
        let keyID = key.withUnsafeBytes { SimulatedHash.keyID(of: $0) }
        if let known = self.table[keyID], known.entry.isTombstone || known.value != nil {
            return known.entry.isTombstone ? nil : known.value
        }
        var entry = self.table[keyID]?.entry
        do throws(IndexError) {
            if entry == nil { entry = try self.storage.index.lookup(keyID) }
        } catch {
            throw .index(error)
        }
        guard let entry, !entry.isTombstone else { return nil }
        do throws(ReadError) {
            return try self.storage.reader.value(entry.location, keyID: keyID)
        } catch {
            switch error {
            case .file(let error): throw .file(error)
            case .corrupt: throw .damaged(path: "segment", reason: "\(error)")
            }
        }
    }

    /// Moves what is durable from the table to the index.
    package func sweep() throws(IndexError) {
        let entries = self.table.keys.sorted().compactMap { self.table[$0]?.entry }
        let position = self.log.durablePosition
        if self.bug == .positionBeforeEntries {
            try self.storage.index.apply([], position: position, isFinal: true)
        }
        let half = entries.count / 2
        try self.storage.index.apply(Array(entries[..<half]), position: position, isFinal: false)
        try self.storage.index.apply(Array(entries[half...]), position: position, isFinal: true)
        self.table = [:]
    }

    package func checkpoint() throws(IndexError) {
        try self.storage.index.checkpoint()
    }

    package func close() throws(StorageError) {
        try self.log.close()
        self.storage.close()
    }

    private func append(
        _ fields: RecordFields,
        _ key: [UInt8],
        _ value: [UInt8]
    ) throws(StorageError) -> Location? {
        // The closures of `withUnsafeBytes` do not carry typed errors.
        var result: Result<Location?, StorageError> = .success(nil)
        key.withUnsafeBytes { key in
            value.withUnsafeBytes { value in
                do throws(StorageError) {
                    result = .success(try self.log.append(fields, key: key, value: value))
                } catch {
                    result = .failure(error)
                }
            }
        }
        return try result.get()
    }

    private func publish() {
        for (entry, value) in self.open {
            self.table[entry.keyID] = Entry(entry: entry, value: value)
        }
        self.open = []
        self.events.append(.acknowledged)
    }
}
