import PrustCore
import PrustStorage

/// Walking over the keys, in the order of their IDs; on a disk thread.
extension Engine {
    package struct ScanError: Error, CustomStringConvertible {
        package let description: String
    }

    /// Returns the live keys of the next stretch; the error says what could not be read.
    ///
    /// The cursor is a place in the key space, so a walk needs no memory on the server, survives a
    /// restart, and sees every key that is there from its start to its end.
    package func scan(
        _ request: ScanRequest,
        budget: ScanBudget = ScanBudget()
    ) throws(ScanError) -> ScanResult {
        guard let storage = self.storage else { throw ScanError(description: Self.tryAgain) }
        var walk = ScanWalk(request, budget)
        do {
            try self.advance(&walk, storage)
        } catch {
            guard self.isCurrent(storage) else { throw ScanError(description: Self.tryAgain) }
            if storage.index.failure != nil { self.queue.interrupt() }
            throw ScanError(description: "\(error)")
        }
        // Otherwise keys were in memory no more and not in this index either, and were passed over.
        guard self.isCurrent(storage) else { throw ScanError(description: Self.tryAgain) }
        return walk.result
    }

    /// Partitions whose keys in memory are looked for at once, if there are few.
    private static let partitionsPerStretch = 64
    /// Stretches without keys cost little, but not nothing.
    private static let stretchesPerStep = 64

    /// All that is known of a part of the key space up to `end`, in the order of the key IDs.
    private struct Stretch {
        var memory: [ScanWalk.MemoryKey]
        var rows: [IndexEntry]
        /// The last of the key IDs that share their upper 64 bits.
        var end: KeyID
    }

    private func advance(_ walk: inout ScanWalk, _ storage: Storage) throws {
        var from = Self.first(of: walk.request.cursor)
        for _ in 0..<Self.stretchesPerStep {
            let stretch = try self.stretch(from: from, limit: walk.fetchCount, storage)
            if let rest = try self.visit(stretch, &walk, storage) { return walk.stop(at: rest) }
            let (next, isOver) = stretch.end.identifier.word0.addingReportingOverflow(1)
            if isOver { return }
            from = Self.first(of: next)
            if walk.isUsedUp { break }
        }
        walk.stop(at: from)
    }

    /// Visits keys one by one; returns the first that must wait for the next step, `nil` if none.
    private func visit(
        _ stretch: Stretch,
        _ walk: inout ScanWalk,
        _ storage: Storage
    ) throws(ReadError) -> KeyID? {
        var memory = stretch.memory[...]
        var rows = stretch.rows[...]
        while true {
            let row = rows.first
            if let entry = memory.first, row.map({ entry.keyID <= $0.keyID }) ?? true {
                guard walk.mayVisit(entry.keyID) else { return entry.keyID }
                walk.visit(entry)
                memory.removeFirst()
                // What memory says of a key is newer.
                if row?.keyID == entry.keyID { rows.removeFirst() }
            } else if let row {
                guard walk.mayVisit(row.keyID) else { return row.keyID }
                try self.visit(row, &walk, storage)
                rows.removeFirst()
            } else {
                return nil
            }
        }
    }

    private func visit(
        _ row: IndexEntry,
        _ walk: inout ScanWalk,
        _ storage: Storage
    ) throws(ReadError) {
        let isWanted = walk.visit(
            row.keyID,
            expiresAt: row.expiresAt,
            isTombstone: row.isTombstone
        )
        guard isWanted else { return }
        var byteCount = 0
        defer { walk.countRead(byteCount: byteCount) }
        do throws(ReadError) {
            let key = try storage.reader.key(
                row.location,
                keyID: row.keyID,
                byteCount: &byteCount
            )
            walk.take(key)
        } catch {
            // A record that cannot be read must not keep the walk from the keys behind it.
            switch error {
            case .corrupt: break
            case .file(let error) where error.isDiskFailure: break
            case .file: throw error
            }
            self.observer?.readFailed("\(error)", isCorruption: true)
        }
    }

    // MARK: Finding keys

    /// Finds the next keys, about `limit` of those in memory and as many of those in the index.
    private func stretch(
        from: KeyID,
        limit: Int,
        _ storage: Storage
    ) throws(IndexError) -> Stretch {
        var (keyIDs, end) = self.dirtyKeyIDs(from: from, limit: limit)
        if keyIDs.count > limit {
            end = Self.last(of: keyIDs[limit - 1].identifier.word0)
            keyIDs = Array(keyIDs.prefix { $0 <= end })
        }
        // Memory first: what a sweep moves meanwhile is then seen twice rather than never.
        let memory = self.copy(keyIDs)
        var rows = try storage.index.scan(from: from, through: end, limit: limit + 1)
        if rows.count > limit, let last = rows.last?.keyID.identifier.word0 {
            // The cursor keeps 64 bits: keys that share them must be visited together.
            let whole = rows.prefix { $0.keyID.identifier.word0 != last }
            if whole.isEmpty {
                end = Self.last(of: last)
                rows = try storage.index.scan(from: from, through: end, limit: Index.scanCountMax)
            } else {
                end = Self.last(of: last - 1)
                rows = Array(whole)
            }
        }
        return Stretch(memory: Array(memory.prefix { $0.keyID <= end }), rows: rows, end: end)
    }

    /// The dirty keys of the partitions from a key on, until there are enough, in order, and how
    /// far they reach.
    ///
    /// Only the IDs, since a stripe's lock is held while they are looked for.
    private func dirtyKeyIDs(from: KeyID, limit: Int) -> (keyIDs: [KeyID], end: KeyID) {
        let partitionCount = 1 << self.options.partitionBitCount
        var partition = from.partition(bitCount: self.options.partitionBitCount)
        var keyIDs: [KeyID] = []
        var end = KeyID.last
        repeat {
            end = self.last(ofPartition: partition)
            self.stripe(of: end).withTable { table in
                table.forEachDirty(partition: partition) { index in
                    let keyID = table.entries[index].keyID
                    if keyID >= from { keyIDs.append(keyID) }
                }
            }
            partition += 1
        } while keyIDs.count < limit && partition < partitionCount
            && partition % Self.partitionsPerStretch != 0
        keyIDs.sort()
        return (keyIDs, end)
    }

    /// What memory says of keys; one that is not there any more has come into the index meanwhile.
    private func copy(_ keyIDs: [KeyID]) -> [ScanWalk.MemoryKey] {
        keyIDs.compactMap { keyID in
            self.stripe(of: keyID).withTable { table -> ScanWalk.MemoryKey? in
                guard let index = table.find(keyID) else { return nil }
                let entry = table.entries[index]
                return ScanWalk.MemoryKey(
                    keyID: keyID,
                    key: Array(entry.key),
                    expiresAt: entry.expiresAt,
                    sequence: entry.sequence,
                    isTombstone: entry.isTombstone
                )
            }
        }
    }

    // MARK: Places in the key space

    private func last(ofPartition partition: Int) -> KeyID {
        let bitCount = self.options.partitionBitCount
        guard partition + 1 < (1 << bitCount) else { return .last }
        let next = UInt64(partition + 1) << UInt64(64 - bitCount)
        return Self.last(of: next - 1)
    }

    /// The first key ID with these upper 64 bits.
    private static func first(of word: UInt64) -> KeyID {
        KeyID(Identifier256(word0: word, word1: 0, word2: 0, word3: 0))
    }

    private static func last(of word: UInt64) -> KeyID {
        KeyID(Identifier256(word0: word, word1: .max, word2: .max, word3: .max))
    }
}
