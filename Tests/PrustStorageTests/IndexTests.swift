import Glibc
import PrustCore
import PrustSimulator
import PrustStorage
import Testing

@Suite struct IndexTests {
    static func entry(
        _ keyID: KeyID,
        version: UInt64,
        offset: UInt32 = 4096,
        isTombstone: Bool = false
    ) -> IndexEntry {
        IndexEntry(
            keyID: keyID,
            location: Location(segment: 1, offset: offset, byteCount: 100),
            version: Fixture.version(version),
            expiresAt: 5,
            isTombstone: isTombstone
        )
    }

    static func keyIDs(_ count: Int) -> [KeyID] { (0..<count).map(Fixture.keyID).sorted() }

    static let position = LogPosition(segment: 1, offset: 8192)

    @Test func entriesComeBack() throws {
        let storage = try SegmentLogTests.open(SimulatedFileSystem()).storage
        let index = storage.index
        let keyIDs = Self.keyIDs(2500)
        let entries = keyIDs.enumerated().map { Self.entry($1, version: UInt64($0)) }
        try index.apply(entries, position: Self.position, isFinal: true)
        #expect(index.count == 2500)
        #expect(index.position == Self.position)
        #expect(index.newestHLC == 2499)
        #expect(try index.lookup(keyIDs) == entries.map(Optional.some))
        #expect(try index.lookup(keyIDs[7]) == entries[7])
        #expect(try index.lookup(KeyID.last) == nil)
        #expect(try index.lookup([.first, keyIDs[3]]) == [nil, entries[3]])
        #expect(try index.scan(from: .first, through: .last, limit: 10_000) == entries)
        #expect(
            try index.scan(from: keyIDs[10], through: keyIDs[19], limit: 100)
                == Array(entries[10...19])
        )
        #expect(
            try index.scan(from: keyIDs[10], through: .last, limit: 3)
                == Array(entries[10..<13])
        )
        #expect(try index.scan(from: .last, through: .first, limit: 3) == [])
        #expect(try index.scan(from: .first, through: .last, limit: -1) == [])
        #expect(try index.verify() == [])
    }

    @Test func theHighestVersionWinsAndTheCountFollows() throws {
        let index = try SegmentLogTests.open(SimulatedFileSystem()).storage.index
        let keyID = Fixture.keyID(1)
        let steps: [(entry: IndexEntry, kept: Bool, count: Int)] = [
            (Self.entry(keyID, version: 5), true, 1),
            (Self.entry(keyID, version: 4, isTombstone: true), false, 1),
            // The same version at another place: recovery has moved the record.
            (Self.entry(keyID, version: 5, offset: 8192), true, 1),
            (Self.entry(keyID, version: 6, isTombstone: true), true, 0),
            (Self.entry(keyID, version: 7, isTombstone: true), true, 0),
            (Self.entry(keyID, version: 6), false, 0),
            (Self.entry(keyID, version: 8), true, 1),
        ]
        for step in steps {
            try index.apply([step.entry], position: Self.position, isFinal: true)
            #expect((try index.lookup(keyID) == step.entry) == step.kept)
            #expect(index.count == step.count)
            #expect(try index.verify() == [])
        }
    }

    @Test func allBitsOfAnEntrySurvive() throws {
        let index = try SegmentLogTests.open(SimulatedFileSystem()).storage.index
        let entry = IndexEntry(
            keyID: KeyID.last,
            location: Location(segment: .max, offset: .max, byteCount: .max),
            version: Version(
                term: Ballot(epoch: .max, round: 1, index: 2),
                hlc: .max,
                writer: .max,
                count: 3
            ),
            expiresAt: .min,
            isTombstone: true
        )
        try index.apply([entry], position: Self.position, isFinal: true)
        #expect(try index.lookup(.last) == entry)
        #expect(index.newestHLC == .max)
    }

    @Test func thePositionMovesWithTheLastPartOnly() throws {
        let index = try SegmentLogTests.open(SimulatedFileSystem()).storage.index
        let entries = Self.keyIDs(10).map { Self.entry($0, version: 1) }
        try index.apply(entries, position: Self.position, isFinal: false)
        #expect(index.position == LogPosition(segment: 1, offset: 4096))
        #expect(index.count == 10)
        try index.apply([], position: Self.position, isFinal: true)
        #expect(index.position == Self.position)
    }

    @Test func noSyncIsMadeUntilACheckpoint() throws {
        let fileSystem = SimulatedFileSystem()
        let index = try SegmentLogTests.open(fileSystem).storage.index
        // The first write after a checkpoint syncs the new header of the write-ahead log.
        try index.apply([], position: Self.position, isFinal: true)
        let syncs = fileSystem.count(.syncData) + fileSystem.count(.sync)
        let entries = Self.keyIDs(2000).map { Self.entry($0, version: 1) }
        try index.apply(entries, position: Self.position, isFinal: true)
        #expect(fileSystem.count(.syncData) + fileSystem.count(.sync) == syncs)
        try index.checkpoint()
        #expect(fileSystem.count(.syncData) + fileSystem.count(.sync) == syncs + 2)
        #expect(fileSystem.bytes(of: Fixture.indexPath + "-wal")?.count == 0)
    }

    @Test func aFullDiskIsNoDamage() throws {
        let fileSystem = SimulatedFileSystem()
        let index = try SegmentLogTests.open(fileSystem).storage.index
        let entries = Self.keyIDs(500).map { Self.entry($0, version: 1) }
        fileSystem.setCapacity(fileSystem.usedByteCount)
        do {
            try index.apply(entries, position: Self.position, isFinal: true)
            Issue.record("the disk should be full")
        } catch {
            #expect(error.kind == .full)
        }
        #expect(index.failure == nil)
        #expect(index.count == 0)
        fileSystem.setCapacity(.max)
        try index.apply(entries, position: Self.position, isFinal: true)
        #expect(index.count == 500)
        #expect(try index.verify() == [])
    }

    @Test func aFailedSyncStopsChangesAndLeavesLookups() throws {
        let fileSystem = SimulatedFileSystem()
        let store = try Fixture.store(fileSystem)
        try store.put(Fixture.key(1), [1])
        try store.commit()
        try store.sweep()
        fileSystem.plant(.init(.syncData, index: 0, .fails(EIO)))
        #expect(throws: IndexError.self) { try store.checkpoint() }
        #expect(throws: IndexError.self) { try store.sweep() }
        #expect(store.storage.index.failure?.kind == .failed)
        #expect(try store.get(Fixture.key(1)) == [1])
        fileSystem.kill()
        let again = try Fixture.store(fileSystem)
        #expect(again.storage.report.indexRebuilt == "it was missing")
        #expect(try again.get(Fixture.key(1)) == [1])
    }

    // MARK: - Damage

    static func filled() throws -> SimulatedFileSystem {
        let fileSystem = SimulatedFileSystem()
        let store = try Fixture.store(fileSystem, Fixture.options(segmentByteCount: 256 * 1024))
        for number in 0..<400 {
            try store.put(Fixture.key(number), [UInt8(number & 0xFF), UInt8(number >> 8)])
        }
        try store.commit()
        try store.sweep()
        try store.close()
        return fileSystem
    }

    /// Opens a directory whose index is damaged, and reads everything: all answers are right, or an
    /// error that the next start heals.
    static func check(_ fileSystem: SimulatedFileSystem, _ name: String) throws {
        let options = Fixture.options(segmentByteCount: 256 * 1024)
        var isHealed = false
        for _ in 0..<2 {
            let store = try Fixture.store(fileSystem, options)
            isHealed = true
            for number in 0..<400 {
                do {
                    let value = try store.get(Fixture.key(number))
                    #expect(value == [UInt8(number & 0xFF), UInt8(number >> 8)], "\(name)")
                } catch StorageError.index(let error) {
                    #expect(error.kind == .damaged, "\(name): \(error)")
                    isHealed = false
                }
            }
            if isHealed {
                #expect(store.storage.index.count == 400)
                #expect(try store.storage.index.verify() == [], "\(name)")
                break
            }
            fileSystem.kill()
        }
        #expect(isHealed, "\(name)")
    }

    @Test func everyPageOverwrittenOrCutOff() throws {
        let original = try Self.filled()
        let bytes = try #require(original.bytes(of: Fixture.indexPath))
        #expect(bytes.count % 8192 == 0)
        #expect(bytes.count >= 5 * 8192)
        for page in 0..<bytes.count / 8192 {
            let range = page * 8192..<(page + 1) * 8192
            let other = (page + 1) % (bytes.count / 8192)
            let damages: [(String, [UInt8])] = [
                ("zeros", Array(repeating: 0, count: 8192)),
                ("noise", Fixture.noise(8192, seed: UInt64(page))),
                ("another page", Array(bytes[other * 8192..<(other + 1) * 8192])),
            ]
            for (name, contents) in damages {
                let fileSystem = original.copy()
                var damaged = bytes
                damaged.replaceSubrange(range, with: contents)
                fileSystem.setBytes(damaged, of: Fixture.indexPath)
                try Self.check(fileSystem, "page \(page): \(name)")
            }
            for count in [range.lowerBound, range.lowerBound + 100] {
                let fileSystem = original.copy()
                fileSystem.setBytes(Array(bytes[..<count]), of: Fixture.indexPath)
                try Self.check(fileSystem, "\(count) bytes left")
            }
        }
    }

    @Test func everyKindOfFlippedBit() throws {
        let original = try Self.filled()
        let byteCount = try #require(original.bytes(of: Fixture.indexPath)).count
        var random = SeededRandom(seed: 4)
        for _ in 0..<24 {
            let fileSystem = original.copy()
            let offset = Int(random.next() % UInt64(byteCount))
            fileSystem.flipBit(
                of: Fixture.indexPath,
                offset: offset,
                bit: Int(random.next() % 8)
            )
            try Self.check(fileSystem, "offset \(offset)")
        }
    }

    @Test func aMissingIndexIsMadeAgain() throws {
        let fileSystem = try Self.filled()
        try fileSystem.unlink(Fixture.indexPath)
        let options = Fixture.options(segmentByteCount: 256 * 1024)
        let store = try Fixture.store(fileSystem, options)
        #expect(store.storage.report.indexRebuilt == "it was missing")
        #expect(store.storage.report.recordCount == 400)
        #expect(store.replayedCount == 0)
        #expect(store.storage.index.count == 400)
        try store.close()
        #expect(try Fixture.store(fileSystem, options).storage.report.indexRebuilt == nil)
    }

    @Test func anIndexAheadOfTheLogIsMadeAgainIfTheLossIsAccepted() throws {
        let fileSystem = SimulatedFileSystem()
        let store = try Fixture.store(fileSystem)
        try store.put(Fixture.key(1), [1])
        try store.commit()
        let far = LogPosition(segment: 9, offset: 4096)
        try store.storage.index.apply([], position: far, isFinal: true)
        fileSystem.kill()
        for _ in 0..<2 {
            #expect(throws: StorageError.self) { try Fixture.store(fileSystem) }
        }
        var options = Fixture.options()
        options.allowMissingSegments = true
        let again = try Fixture.store(fileSystem, options)
        #expect(again.storage.report.indexRebuilt == "its position is beyond the end of the log")
        #expect(try again.get(Fixture.key(1)) == [1])
    }

    @Test func anIndexOfAnotherDirectoryIsMadeAgain() throws {
        let other = SimulatedFileSystem()
        var options = Fixture.options()
        options.newStorageID = StorageID(.max)
        let foreign = try Fixture.store(other, options)
        try foreign.put(Fixture.key(1), [9])
        try foreign.commit()
        try foreign.sweep()
        try foreign.close()
        let fileSystem = try Self.filled()
        let bytes = try #require(other.bytes(of: Fixture.indexPath))
        fileSystem.setBytes(bytes, of: Fixture.indexPath)
        try Self.check(fileSystem, "foreign index")
    }

    @Test func aRebuildCanBeAskedFor() throws {
        let fileSystem = try Self.filled()
        var options = Fixture.options(segmentByteCount: 256 * 1024)
        options.rebuildIndex = true
        let store = try Fixture.store(fileSystem, options)
        #expect(store.storage.report.indexRebuilt == "it was asked for")
        #expect(store.storage.index.count == 400)
    }
}
