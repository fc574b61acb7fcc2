import NIOConcurrencyHelpers
package import PrustCore
import PrustStorage
import PrustTLS

/// One step of SCAN.
package struct ScanRequest: Sendable {
    /// The upper 64 bits of the key ID to go on from; 0 at the start.
    package var cursor: UInt64
    package var count: Int
    package var pattern: [UInt8]?
    /// False if the caller asked for a type that no value has.
    package var matchesType: Bool
    package var wall: WallTime

    package init(
        cursor: UInt64,
        count: Int,
        pattern: [UInt8]?,
        matchesType: Bool,
        wall: WallTime
    ) {
        self.cursor = cursor
        self.count = count
        self.pattern = pattern
        self.matchesType = matchesType
        self.wall = wall
    }
}

package struct ScanResult: Sendable {
    /// 0 when the walk is over.
    package var cursor: UInt64
    package var keys: [[UInt8]]
    /// The newest record in memory that was looked at; the answer depends on it.
    package var newestSequence: UInt64 = 0
}

/// Walking over the keys, in the order of their IDs, and counting them; on a disk thread.
extension Engine {
    /// Returns the live keys of the next stretch; the error says what could not be read.
    ///
    /// The cursor is a place in the key space, so a walk needs no memory on the server, survives a
    /// restart, and sees every key that is there from its start to its end.
    package func scan(_ request: ScanRequest) throws(ScanError) -> ScanResult {
        guard let storage = self.storage else {
            throw ScanError(description: "the storage is being recovered")
        }
        var result = ScanResult(cursor: 0, keys: [])
        var from = KeyID(Identifier256(word0: request.cursor, word1: 0, word2: 0, word3: 0))
        var remaining = request.count
        var byteCount = 0
        do {
            // Partitions without keys cost little, but not nothing.
            for _ in 0..<Self.partitionsPerStep where remaining > 0 {
                let partition = from.partition(bitCount: self.options.partitionBitCount)
                let step = try self.step(
                    from: from,
                    partition: partition,
                    limit: remaining,
                    storage,
                    request
                )
                result.keys += step.keys
                remaining -= step.visited
                result.newestSequence = max(result.newestSequence, step.newestSequence)
                byteCount += step.keys.reduce(0) { $0 + $1.count }
                if byteCount > Self.byteCountPerStep { remaining = 0 }
                guard let next = step.next else { return result }
                from = next
            }
        } catch {
            if storage.index.failure != nil { self.queue.interrupt() }
            throw ScanError(description: "\(error)")
        }
        result.cursor = max(from.identifier.word0, 1)
        return result
    }

    private static let partitionsPerStep = 1_024
    /// Bytes of keys after which a step ends, whatever COUNT says.
    private static let byteCountPerStep = 1024 * 1024

    package struct ScanError: Error, CustomStringConvertible {
        package let description: String
    }

    fileprivate struct Step {
        var keys: [[UInt8]] = []
        var visited = 0
        var newestSequence: UInt64 = 0
        /// Where to go on; `nil` at the end of the key space.
        var next: KeyID?
    }

    /// Visits about `limit` keys of one partition, those in memory and those in the index.
    private func step(
        from: KeyID,
        partition: Int,
        limit: Int,
        _ storage: Storage,
        _ request: ScanRequest
    ) throws -> Step {
        let bits = self.options.partitionBitCount
        let lastBits = UInt64(partition + 1) << UInt64(64 - bits)
        let isLast = bits == 0 || partition == (1 << bits) - 1
        let through = KeyID(
            Identifier256(
                word0: isLast ? .max : lastBits &- 1,
                word1: .max,
                word2: .max,
                word3: .max
            )
        )
        let limit = min(limit, Index.scanCountMax - 1)
        // Memory first: what a sweep moves meanwhile is then seen twice rather than never.
        let dirty = self.collect(partition: partition, from...through)
        var rows = try storage.index.scan(from: from, through: through, limit: limit + 1)
        var end = through
        if rows.count > limit, let last = rows.last?.keyID.identifier.word0 {
            // The cursor keeps 64 bits: keys that share them must be visited together.
            rows.removeAll { $0.keyID.identifier.word0 == last }
            end = KeyID(
                Identifier256(word0: last &- 1, word1: .max, word2: .max, word3: .max)
            )
            if rows.isEmpty {
                end = KeyID(Identifier256(word0: last, word1: .max, word2: .max, word3: .max))
                rows = try storage.index.scan(from: from, through: end, limit: 1 << 16)
            }
        }
        var step = Step()
        step.visited = rows.count
        var seen: Set<KeyID> = []
        for entry in dirty where entry.keyID <= end {
            seen.insert(entry.keyID)
            step.visited += 1
            step.newestSequence = max(step.newestSequence, entry.sequence)
            if entry.isTombstone { continue }
            if entry.expiresAt != 0, entry.expiresAt <= request.wall.milliseconds { continue }
            step.add(entry.key, request)
        }
        for row in rows where !row.isTombstone && !seen.contains(row.keyID) {
            if row.expiresAt != 0, row.expiresAt <= request.wall.milliseconds { continue }
            do throws(ReadError) {
                let key = try storage.reader.key(row.location, keyID: row.keyID)
                step.add(key, request)
            } catch {
                // A corrupt record must not keep the walk from the keys behind it.
                guard case .corrupt = error else { throw error }
                self.observer?.readFailed("\(error)", isCorruption: true)
            }
        }
        let (next, didOverflow) = end.identifier.word0.addingReportingOverflow(1)
        if !didOverflow {
            step.next = KeyID(Identifier256(word0: next, word1: 0, word2: 0, word3: 0))
        }
        return step
    }

    private struct DirtyKey {
        var keyID: KeyID
        var key: [UInt8]
        var expiresAt: Int64
        var sequence: UInt64
        var isTombstone: Bool
    }

    private func collect(partition: Int, _ range: ClosedRange<KeyID>) -> [DirtyKey] {
        self.stripe(of: range.lowerBound).withTable { table in
            var keys: [DirtyKey] = []
            table.forEachDirty(partition: partition) { index in
                let entry = table.entries[index]
                guard range.contains(entry.keyID) else { return }
                keys.append(
                    DirtyKey(
                        keyID: entry.keyID,
                        key: Array(entry.key),
                        expiresAt: entry.expiresAt,
                        sequence: entry.sequence,
                        isTombstone: entry.isTombstone
                    )
                )
            }
            return keys
        }
    }

    /// Counts the live keys; those of the index that expired and that nobody touched are included.
    ///
    /// Keys that were written blindly are looked up first: whether they were there already is not
    /// known until then.
    package func countKeys() throws(ScanError) -> Int {
        guard let storage = self.storage else {
            throw ScanError(description: "the storage is being recovered")
        }
        self.maintenance.lock()
        defer { self.maintenance.unlock() }
        do {
            var expired = 0
            for stripe in self.stripes { expired += try self.resolveBases(of: stripe, storage) }
            return max(storage.index.count + self.memoryUse.liveDelta - expired, 0)
        } catch {
            if storage.index.failure != nil { self.queue.interrupt() }
            throw ScanError(description: "\(error)")
        }
    }

    /// Finds out what is not known; returns how many dirty keys have expired.
    private func resolveBases(of stripe: Stripe, _ storage: Storage) throws -> Int {
        let now = Clocks.wall().milliseconds
        var expired = 0
        for partition in stripe.partitions {
            let unknown = stripe.withTable { table in
                var unknown: [KeyID] = []
                table.forEachDirty(partition: partition) { index in
                    let expiresAt = table.entries[index].expiresAt
                    if !table.entries[index].isTombstone, expiresAt != 0, expiresAt <= now {
                        expired += 1
                    }
                    if table.entries[index].base == .unknown {
                        unknown.append(table.entries[index].keyID)
                    }
                }
                return unknown
            }
            if unknown.isEmpty { continue }
            let rows = try storage.index.lookup(unknown)
            stripe.withTable { table in
                for (keyID, row) in zip(unknown, rows) {
                    guard let index = table.find(keyID) else { continue }
                    table.resolveBase(index, isLive: row.map { !$0.isTombstone } ?? false)
                }
            }
        }
        return expired
    }
}

extension Engine.Step {
    fileprivate mutating func add(_ key: [UInt8], _ request: ScanRequest) {
        guard request.matchesType else { return }
        if let pattern = request.pattern, !GlobPattern.matches(key, pattern) { return }
        self.keys.append(key)
    }
}
