package import NIOCore
package import PrustCore
import PrustStorage
import PrustTLS
package import PrustWire

/// Runs commands on keys for the connections of one event loop, and writes their replies.
///
/// Confined to its loop. A command is tried against what is in memory; if it needs a record that
/// is not, it leaves nothing behind but ``missing``, and is tried again once that was loaded.
package final class CommandExecutor {
    package enum Disposition: Equatable {
        case done
        /// ``missing`` must be loaded, then the same command run again.
        case cold
        /// The command takes long and runs elsewhere; see ``deferred``.
        case deferred
    }

    /// Work that must not run on the event loop.
    package enum Deferred: Sendable {
        case scan(ScanRequest)
        case databaseSize
        case clientList
    }

    package let engine: Engine
    /// Where replies go; the session takes them out after each batch.
    package var out: ByteBuffer
    package var version = RESPVersion.resp2
    package var wall = WallTime(milliseconds: 0)
    /// The newest record that the reply of the present command depends on.
    package var dependsOn: UInt64 = 0
    package var didWrite = false
    /// Records that the present command has written: of several, some may be durable alone.
    package var writeCount = 0
    /// The engine's generation before the first of them.
    var firstGeneration: UInt64 = 0
    package var missing: [Engine.Missing] = []
    package var deferred: Deferred?
    /// How far a command on several keys got before it had to wait, and its count so far.
    package var progress = 0
    package var tally: Int64 = 0
    /// The version of the record that the command read or wrote last, for receipts.
    package var lastVersion = Version.zero
    package var wasCached = true
    package var replyByteCountMax = 64 * 1024 * 1024
    let scratch: ScratchBuffer

    package init(engine: Engine, allocator: ByteBufferAllocator) {
        self.engine = engine
        self.out = allocator.buffer(capacity: 16 * 1024)
        self.scratch = ScratchBuffer()
    }

    /// Where the reply of the present command begins.
    package var replyStart = 0

    /// Prepares for a new command, as opposed to another try of the same one.
    package func begin() {
        self.replyStart = self.out.writerIndex
        self.progress = 0
        self.tally = 0
        self.dependsOn = 0
        self.didWrite = false
        self.writeCount = 0
        self.lastVersion = .zero
        self.wasCached = true
    }

    /// True if the storage was opened again between the first and the last write of a command:
    /// the first may be lost although the last is not.
    var isTorn: Bool { self.writeCount > 1 && self.firstGeneration != self.engine.generation }

    // MARK: Replies

    /// Answers with an error and nothing else, whatever was written before.
    func fail(_ text: String) -> Disposition {
        self.out.moveWriterIndex(to: self.replyStart)
        self.out.writeReplyError(text)
        return .done
    }

    /// Bytes of an argument that an error repeats.
    private static let shownByteCountMax = 4 * 1024

    /// The same with something that the client sent, cut at a NUL as Redis does.
    func fail(_ text: String, _ shown: UnsafeRawBufferPointer, _ rest: String = "") -> Disposition {
        let shown = shown.prefix(Self.shownByteCountMax).prefix { $0 != 0 }
        return self.fail(Array(text.utf8) + shown + Array(rest.utf8))
    }

    func fail(_ bytes: [UInt8]) -> Disposition {
        self.out.moveWriterIndex(to: self.replyStart)
        self.out.writeReplyError(bytes)
        return .done
    }

    func syntaxError() -> Disposition { self.fail("ERR syntax error") }

    func notAnInteger() -> Disposition {
        self.fail("ERR value is not an integer or out of range")
    }

    func integer(_ value: Int64) -> Disposition {
        self.out.writeReplyInteger(value)
        return .done
    }

    func null() -> Disposition {
        self.out.writeReplyNull(version: self.version)
        return .done
    }

    func ok() -> Disposition {
        self.out.writeReplySimple("OK")
        return .done
    }

    // MARK: Keys

    /// What a command sees of its key, under the lock of the key's stripe.
    struct Cursor {
        let table: EntryTable
        let keyID: KeyID
        let key: UnsafeRawBufferPointer
        let stripe: Int
        /// The entry of the key, if it exists and has not expired.
        var live: Int?
        /// The version of the newest record, a tombstone's included; zero if there is none.
        var version: Version
        /// False if nothing is known of the key; then a blind SET is all that is possible.
        var isKnown: Bool
        /// True if the engine refuses writes at present.
        var isReadOnly: Bool

        var value: UnsafeRawBufferPointer {
            guard let live = self.live else { return .init(start: nil, count: 0) }
            return self.table.entries[live].value
        }

        var expiresAt: Int64 { self.live.map { self.table.entries[$0].expiresAt } ?? 0 }
    }

    /// What a command needs to know of its key before it can run.
    enum Need {
        case nothing
        case existence
        case value
    }

    /// Runs `body` on a key under its stripe's lock, once what it needs is in memory.
    @inline(__always)
    func withKey(
        _ key: UnsafeRawBufferPointer,
        needs need: Need,
        _ body: (inout Cursor) -> Disposition
    ) -> Disposition {
        guard key.count <= Limits.keyByteCountMax else {
            return self.fail("ERR the key exceeds the limit key-bytes (\(Limits.keyByteCountMax))")
        }
        let keyID = Crypto.keyID(of: key)
        let stripe = self.engine.stripe(of: keyID)
        return stripe.withTable { table in
            let state = self.engine.state
            guard state == .serving || state == .diskFull else { return self.refuse(state) }
            var cursor = Cursor(
                table: table,
                keyID: keyID,
                key: key,
                stripe: stripe.index,
                live: nil,
                version: .zero,
                isKnown: false,
                isReadOnly: state == .diskFull
            )
            guard let index = table.find(keyID) else {
                if need == .nothing { return body(&cursor) }
                self.missing.append(Engine.Missing(keyID: keyID, key: Array(key)))
                return .cold
            }
            if need == .value, !table.entries[index].hasValue {
                self.missing.append(Engine.Missing(keyID: keyID, key: Array(key)))
                return .cold
            }
            self.open(&cursor, index, needs: need)
            return body(&cursor)
        }
    }

    @inline(__always)
    private func open(_ cursor: inout Cursor, _ index: Int, needs need: Need) {
        let table = cursor.table
        cursor.isKnown = true
        cursor.version = table.entries[index].version
        self.lastVersion = cursor.version
        self.dependsOn = max(self.dependsOn, table.entries[index].sequence)
        if table.entries[index].isTombstone { return }
        table.touch(index)
        let expiresAt = table.entries[index].expiresAt
        if expiresAt != 0, expiresAt <= self.wall.milliseconds {
            // Rule 36: that a key has expired is decided once, before anyone is told.
            if need != .nothing, !cursor.isReadOnly { self.putTombstone(&cursor) }
            return
        }
        cursor.live = index
    }

    /// What a refusal says of the whole command: a part of it may have been applied already.
    private var outcome: String { self.didWrite ? "UNKNOWN" : "NOTAPPLIED" }

    private func refuse(_ state: Engine.State) -> Disposition {
        switch state {
        case .recovering:
            self.fail("\(self.outcome) the storage is being recovered: try again soon")
        case .stopped, .serving, .diskFull:
            self.fail("\(self.outcome) the node is stopping")
        }
    }

    /// Gives a new record of the key to the log and to memory.
    ///
    /// False, with an error written, if the engine refuses. A blind write outranks all that is there, another one follows its base.
    func put(
        _ cursor: inout Cursor,
        _ value: EntryTable.ValueParts,
        expiresAt: Int64,
        isBlind: Bool = false
    ) -> Bool {
        guard !cursor.isReadOnly else {
            _ = self.fail("\(self.outcome) the disk is full: " + self.engine.stateReason)
            return false
        }
        guard value.byteCount <= Limits.valueByteCountMax else {
            _ = self.fail(
                "ERR string exceeds maximum allowed size (limit value-bytes, "
                    + "\(Limits.valueByteCountMax))"
            )
            return false
        }
        cursor.live = self.append(
            &cursor,
            value,
            expiresAt: expiresAt,
            isTombstone: false,
            isBlind: isBlind
        )
        return true
    }

    /// Deletes the key; false, with an error written, if the engine refuses.
    func delete(_ cursor: inout Cursor) -> Bool {
        guard !cursor.isReadOnly else {
            _ = self.fail("\(self.outcome) the disk is full: " + self.engine.stateReason)
            return false
        }
        self.putTombstone(&cursor)
        return true
    }

    private func putTombstone(_ cursor: inout Cursor) {
        _ = self.append(
            &cursor,
            EntryTable.ValueParts(.init(start: nil, count: 0)),
            expiresAt: 0,
            isTombstone: true,
            isBlind: false
        )
        cursor.live = nil
    }

    private func append(
        _ cursor: inout Cursor,
        _ value: EntryTable.ValueParts,
        expiresAt: Int64,
        isTombstone: Bool,
        isBlind: Bool
    ) -> Int {
        let hlc = self.engine.nextHLC(wall: self.wall)
        let version = self.engine.nextVersion(after: cursor.version, hlc: hlc, isBlind: isBlind)
        let table = cursor.table
        let key = cursor.key
        let keyID = cursor.keyID
        var entry = 0
        let header = LogQueue.Header(
            keyID: keyID,
            version: version,
            expiresAt: expiresAt,
            writtenAt: hlc,
            isTombstone: isTombstone,
            stripe: cursor.stripe
        )
        if self.writeCount == 0 { self.firstGeneration = self.engine.generation }
        let sequence = self.engine.queue.append(header, key: key, value: value) { sequence in
            entry = table.put(
                keyID,
                key: key,
                value: value,
                version: version,
                expiresAt: expiresAt,
                isTombstone: isTombstone,
                sequence: sequence
            )
            return entry
        }
        cursor.version = version
        cursor.isKnown = true
        self.lastVersion = version
        self.dependsOn = max(self.dependsOn, sequence)
        self.didWrite = true
        self.writeCount += 1
        return entry
    }
}

/// Memory of a loop for a value that is put together, used again and again.
final class ScratchBuffer {
    private var start: UnsafeMutableRawPointer
    private var capacity = 4 * 1024

    init() {
        self.start = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit {
        self.start.deallocate()
    }

    /// Room for `byteCount` bytes, zeroed where `source` does not fill it.
    func filled(
        byteCount: Int,
        with source: UnsafeRawBufferPointer
    )
        -> UnsafeMutableRawBufferPointer
    {
        if byteCount > self.capacity || self.capacity > 1024 * 1024 {
            self.start.deallocate()
            self.capacity = max(byteCount, 4 * 1024)
            self.start = .allocate(byteCount: self.capacity, alignment: 16)
        }
        if let from = source.baseAddress {
            self.start.copyMemory(from: from, byteCount: min(byteCount, source.count))
        }
        if byteCount > source.count {
            (self.start + source.count).initializeMemory(
                as: UInt8.self,
                repeating: 0,
                count: byteCount - source.count
            )
        }
        return UnsafeMutableRawBufferPointer(start: self.start, count: byteCount)
    }
}
