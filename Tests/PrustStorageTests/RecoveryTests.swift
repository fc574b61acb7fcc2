import Glibc
import PrustCore
import PrustSimulator
import PrustStorage
import Testing

@Suite struct RecoveryTests {
    /// A directory with groups of three records, ended by the death of the process.
    static func killed(groupCount: Int, valueByteCount: Int = 40) throws -> SimulatedFileSystem {
        let fileSystem = SimulatedFileSystem()
        let store = try Fixture.store(fileSystem)
        for group in 0..<groupCount {
            for number in 0..<3 {
                let seed = UInt64(group * 3 + number)
                try store.put(Fixture.key(number), Fixture.noise(valueByteCount, seed: seed))
            }
            try store.commit()
        }
        fileSystem.kill()
        return fileSystem
    }

    /// Where the records of a segment begin, and which group they are of.
    static func records(
        _ fileSystem: SimulatedFileSystem,
        _ segment: UInt32
    ) throws -> [(offset: Int, byteCount: Int, group: Int)] {
        let bytes = try #require(fileSystem.bytes(of: Fixture.segmentPath(segment)))
        let seed = RecordSeed(storageID: Fixture.storageID, segment: segment)
        var result: [(offset: Int, byteCount: Int, group: Int)] = []
        var offset = 4096
        while offset < bytes.count {
            let header = bytes[offset...].withUnsafeBytes {
                try? RecordCodec.decode($0, offset: UInt32(offset), seed: seed)
            }
            guard let header else { break }
            result.append((offset, Int(header.byteCount), Int(header.groupOffset)))
            offset += RecordCodec.paddedByteCount(Int(header.byteCount))
        }
        return result
    }

    @Test func aNewDirectoryIsReadByAnyLaterOpen() throws {
        let fileSystem = SimulatedFileSystem()
        let first = try Fixture.store(fileSystem)
        #expect(first.storage.report.isNew)
        #expect(first.storage.storageID == Fixture.storageID)
        try first.close()
        var options = Fixture.options()
        options.newStorageID = StorageID(.max)
        let second = try Fixture.store(fileSystem, options)
        #expect(!second.storage.report.isNew)
        #expect(second.storage.storageID == Fixture.storageID)
        #expect(second.storage.report.indexRebuilt == nil)
    }

    @Test func onlyOneProcessAtATime() throws {
        let fileSystem = SimulatedFileSystem()
        let first = try Fixture.store(fileSystem)
        #expect(throws: StorageError.locked(path: "/data/LOCK", holder: 1)) {
            try Fixture.store(fileSystem)
        }
        try first.close()
        _ = try Fixture.store(fileSystem)
    }

    @Test func theLastGroupIsRewrittenUnlessItIsKnownDurable() throws {
        let fileSystem = try Self.killed(groupCount: 2)
        let before = try Self.records(fileSystem, 1)
        let store = try Fixture.store(fileSystem)
        #expect(store.storage.report.rewrittenRecordCount == 3)
        #expect(store.storage.report.tornTail == nil)
        #expect(store.storage.report.segmentCount == 2)
        #expect(store.replayedCount == 6)
        // The old segment has been cut to what is certainly durable.
        #expect(fileSystem.bytes(of: Fixture.segmentPath(1))?.count == before[3].offset)
        fileSystem.kill()
        // Nothing was written since: a marker says so, and starts do not pile segments up.
        for _ in 0..<3 {
            let again = try Fixture.store(fileSystem)
            #expect(again.storage.report.rewrittenRecordCount == 0)
            #expect(again.storage.report.segmentCount == 2)
            #expect(try again.get(Fixture.key(2)) == Fixture.noise(40, seed: 5))
            fileSystem.kill()
        }
    }

    /// A node that dies on a full disk starts again: it answers reads and turns writes away.
    @Test func aFullDiskIsNoReasonNotToStart() throws {
        let fileSystem = try Self.killed(groupCount: 3)
        fileSystem.setCapacity(0)
        for _ in 0..<2 {
            let store = try Fixture.store(fileSystem)
            #expect(store.storage.report.rewrittenRecordCount == 0)
            for number in 0..<3 {
                let expected = Fixture.noise(40, seed: UInt64(6 + number))
                #expect(try store.get(Fixture.key(number)) == expected)
            }
            try store.put(Fixture.key(1), Fixture.noise(5000, seed: 1))
            do {
                try store.commit()
                Issue.record("the disk should be full")
            } catch {
                guard case .full = error else { throw error }
            }
            fileSystem.kill()
        }
        // What it answered it keeps, also when the power fails.
        var random = SeededRandom(seed: 1)
        fileSystem.crash(random: &random)
        fileSystem.setCapacity(.max)
        let store = try Fixture.store(fileSystem)
        #expect(try store.get(Fixture.key(2)) == Fixture.noise(40, seed: 8))
        try store.put(Fixture.key(1), [1])
        try store.commit()
    }

    /// After a failed sync the page cache shows bytes that the disk does not have.
    @Test func whatAFailedSyncLeftIsWrittenAgain() throws {
        let fileSystem = SimulatedFileSystem()
        let store = try Fixture.store(fileSystem)
        try store.put(Fixture.key(1), [1])
        try store.commit()
        fileSystem.plant(.init(.syncData, index: 0, .fails(EIO)))
        try store.put(Fixture.key(1), [2])
        #expect(throws: StorageError.self) { try store.commit() }
        fileSystem.kill()
        let again = try Fixture.store(fileSystem)
        #expect(try again.get(Fixture.key(1)) == [2])
        var random = SeededRandom(seed: 1)
        for _ in 0..<5 {
            fileSystem.crash(random: &random)
            #expect(try Fixture.store(fileSystem).get(Fixture.key(1)) == [2])
        }
    }

    /// Damage behind the last group that was followed by another is a torn tail, not corruption.
    @Test func aTornTailIsCut() throws {
        let original = try Self.killed(groupCount: 3)
        let records = try Self.records(original, 1)
        for record in records[6...] {
            let fileSystem = original.copy()
            fileSystem.flipBit(
                of: Fixture.segmentPath(1),
                offset: record.offset + 30,
                bit: 3
            )
            let store = try Fixture.store(fileSystem)
            let report = store.storage.report
            #expect(report.corruptRegions == [])
            let torn = try #require(report.tornTail)
            #expect(torn.segment == 1)
            #expect(torn.offset == UInt32(record.offset))
            #expect(report.rewrittenRecordCount == 2)
            for number in 0..<3 {
                let isLost = record.offset == records[6 + number].offset
                let seed = UInt64(isLost ? 3 + number : 6 + number)
                #expect(try store.get(Fixture.key(number)) == Fixture.noise(40, seed: seed))
            }
        }
    }

    @Test func damageBeforeALaterGroupIsReportedAndNeverServed() throws {
        let original = try Self.killed(groupCount: 3)
        let records = try Self.records(original, 1)
        for record in records[..<6] {
            let fileSystem = original.copy()
            fileSystem.flipBit(
                of: Fixture.segmentPath(1),
                offset: record.offset + record.byteCount - 1,
                bit: 0
            )
            let store = try Fixture.store(fileSystem)
            let report = store.storage.report
            #expect(report.tornTail == nil)
            let byteCount = UInt64(RecordCodec.paddedByteCount(record.byteCount))
            #expect(
                report.corruptRegions == [
                    CorruptRegion(
                        segment: 1,
                        offset: UInt32(record.offset),
                        byteCount: byteCount
                    )
                ]
            )
            for number in 0..<3 {
                let seed = UInt64(6 + number)
                #expect(try store.get(Fixture.key(number)) == Fixture.noise(40, seed: seed))
            }
        }
    }

    /// Bytes that a crash left behind the end never come back, however the log grows over them.
    @Test func staleBytesStayDead() throws {
        let original = try Self.killed(groupCount: 2)
        let records = try Self.records(original, 1)
        let fileSystem = original.copy()
        // The first record of the last group is gone, the two behind it are whole.
        fileSystem.flipBit(of: Fixture.segmentPath(1), offset: records[3].offset, bit: 1)
        var random = SeededRandom(seed: 3)
        for round in 0..<6 {
            let store = try Fixture.store(fileSystem)
            try store.put(Fixture.key(1), [UInt8(round)])
            try store.commit()
            fileSystem.crash(random: &random)
            let again = try Fixture.store(fileSystem)
            #expect(again.storage.report.corruptRegions == [])
            #expect(try again.get(Fixture.key(1)) == [UInt8(round)])
            #expect(try again.get(Fixture.key(0)) == Fixture.noise(40, seed: 0))
            fileSystem.kill()
        }
    }

    /// A value may hold the bytes of records; recovery does not take them for such.
    @Test func recordsInsideAValueAreNotFound() throws {
        let source = try Self.killed(groupCount: 4)
        let copied = try #require(source.bytes(of: Fixture.segmentPath(1)))
        let fileSystem = SimulatedFileSystem()
        var options = Fixture.options(segmentByteCount: 64 * 1024)
        options.compressionLevel = nil
        let store = try Fixture.store(fileSystem, options)
        try store.put(Fixture.key(7), Array(copied[4096..<6000]) + [1, 2, 3])
        try store.commit()
        try store.put(Fixture.key(8), [8])
        try store.commit()
        fileSystem.kill()
        fileSystem.flipBit(of: Fixture.segmentPath(1), offset: 4096 + 20, bit: 0)
        let again = try Fixture.store(fileSystem, options)
        #expect(again.replayedCount == 1)
        #expect(again.storage.report.corruptRegions.count == 1)
        #expect(try again.get(Fixture.key(0)) == nil)
        #expect(try again.get(Fixture.key(8)) == [8])
    }

    static func manySegments() throws -> SimulatedFileSystem {
        let fileSystem = SimulatedFileSystem()
        let store = try Fixture.store(fileSystem)
        for number in 0..<12 {
            try store.put(Fixture.key(number), Fixture.noise(3000, seed: UInt64(number)))
            try store.commit()
        }
        try store.close()
        return fileSystem
    }

    @Test func aShortenedSegmentIsReported() throws {
        let fileSystem = try Self.manySegments()
        let path = Fixture.segmentPath(2)
        let bytes = try #require(fileSystem.bytes(of: path))
        fileSystem.setBytes(Array(bytes.dropLast(100)), of: path)
        let store = try Fixture.store(fileSystem)
        let regions = store.storage.report.corruptRegions
        #expect(regions.contains { $0.segment == 2 && $0.byteCount == 100 })
        #expect(try store.get(Fixture.key(11)) == Fixture.noise(3000, seed: 11))
    }

    @Test func aMissingSegmentRefusesToOpen() throws {
        let fileSystem = try Self.manySegments()
        try fileSystem.unlink(Fixture.segmentPath(2))
        #expect(throws: StorageError.missingSegments([2])) { try Fixture.store(fileSystem) }
        var options = Fixture.options()
        options.allowMissingSegments = true
        let store = try Fixture.store(fileSystem, options)
        #expect(store.storage.report.missingSegments == [2])
        #expect(try store.get(Fixture.key(11)) == Fixture.noise(3000, seed: 11))
    }

    @Test func aDamagedSegmentHeaderIsReported() throws {
        let original = try Self.manySegments()
        let names = try original.list("/data/segments")
        for segment in 1...UInt32(names.count) {
            let fileSystem = original.copy()
            fileSystem.flipBit(of: Fixture.segmentPath(segment), offset: 20, bit: 1)
            let store = try Fixture.store(fileSystem)
            let region = CorruptRegion(segment: segment, offset: 0, byteCount: 4096)
            #expect(store.storage.report.corruptRegions == [region])
            for number in 0..<12 {
                let expected = Fixture.noise(3000, seed: UInt64(number))
                #expect(try store.get(Fixture.key(number)) == expected)
            }
        }
    }

    @Test func whoeverDoesNotBelongHereIsRefused() throws {
        let other = SimulatedFileSystem()
        var options = Fixture.options()
        options.newStorageID = StorageID(.max)
        try Fixture.store(other, options).close()
        let fileSystem = try Self.manySegments()
        let foreign = try #require(other.bytes(of: Fixture.segmentPath(1)))
        fileSystem.setBytes(foreign, of: Fixture.segmentPath(1))
        let path = Fixture.segmentPath(1)
        #expect(throws: StorageError.foreignSegment(path: path)) { try Fixture.store(fileSystem) }
    }

    static let metas: [(name: String, change: @Sendable (String) -> String, word: String)] = [
        (
            "newer", { $0.replacing("format 1", with: "format 2") },
            "has format 2, written by a later release"
        ),
        ("damaged", { $0.replacing("created 1", with: "created 2") }, "checksum"),
        ("empty", { _ in "" }, "does not begin like a META file"),
        ("garbage", { _ in "\u{0}\u{1}prustdb" }, "does not begin like a META file"),
    ]

    @Test(arguments: metas)
    func aMetaFileThatDoesNotFitIsRefused(
        name: String,
        change: @Sendable (String) -> String,
        word: String
    ) throws {
        let fileSystem = try Self.manySegments()
        let bytes = try #require(fileSystem.bytes(of: "/data/META"))
        let changed = change(String(decoding: bytes, as: UTF8.self))
        fileSystem.setBytes(Array(changed.utf8), of: "/data/META")
        do {
            _ = try Fixture.store(fileSystem)
            Issue.record("opened")
        } catch {
            #expect("\(error)".contains(word), "\(error)")
        }
    }

    @Test func aMissingMetaFileWithSegmentsIsRefused() throws {
        let fileSystem = try Self.manySegments()
        try fileSystem.unlink("/data/META")
        #expect(throws: StorageError.self) { try Fixture.store(fileSystem) }
    }

    @Test func leftoversAreRemoved() throws {
        let fileSystem = try Self.manySegments()
        for name in ["new.tmp", "spare.tmp", "0000000009.seg.tmp"] {
            _ = try fileSystem.open("/data/segments/\(name)", .create)
        }
        _ = try Fixture.store(fileSystem)
        let names = try fileSystem.list("/data/segments")
        #expect(names.allSatisfy { $0.hasSuffix(".seg") })
    }

    /// Each byte of a small segment in turn: never a wrong value, never silence.
    @Test func everyByteFlipped() throws {
        let original = try Self.killed(groupCount: 3, valueByteCount: 11)
        let records = try Self.records(original, 1)
        let last = try #require(records.last)
        let end = last.offset + last.byteCount
        let offsets = Array(stride(from: 0, to: 4096, by: 97)) + Array(4096..<end)
        for offset in offsets {
            let fileSystem = original.copy()
            fileSystem.flipBit(of: Fixture.segmentPath(1), offset: offset, bit: offset % 8)
            let store = try Fixture.store(fileSystem)
            let report = store.storage.report
            let record = records.last { $0.offset <= offset }
            let isPadding = record.map { offset >= $0.offset + $0.byteCount } ?? false
            let isReported = !report.corruptRegions.isEmpty || report.tornTail != nil
            #expect(isReported != isPadding, "offset \(offset)")
            for number in 0..<3 {
                let answer = try store.get(Fixture.key(number))
                let allowed = (0..<3).map { Fixture.noise(11, seed: UInt64($0 * 3 + number)) }
                #expect(answer.map(allowed.contains) ?? true, "offset \(offset)")
            }
        }
    }

    @Test func aLongTailGoesStraightIntoTheIndex() throws {
        let fileSystem = try Self.manySegments()
        var options = Fixture.options()
        options.replayByteCountMax = 10_000
        let store = try Fixture.store(fileSystem, options)
        #expect(store.replayedCount == 0)
        #expect(store.storage.report.recordCount == 12)
        #expect(store.storage.index.count == 12)
        for number in 0..<12 {
            #expect(try store.get(Fixture.key(number)) == Fixture.noise(3000, seed: UInt64(number)))
        }
    }

    @Test func progressReachesItsTotal() throws {
        let fileSystem = try Self.manySegments()
        var seen: [RecoveryProgress] = []
        let storage = try Storage.open(
            directory: Fixture.directory,
            fileSystem: fileSystem,
            options: Fixture.options(),
            hash: SimulatedHash.keyID(of:),
            progress: { seen.append($0) },
            sink: { _, _, _, _ in }
        )
        #expect(seen.first?.phase == .checking)
        let last = try #require(seen.last)
        #expect(last.phase == .replaying)
        #expect(last.byteCount == last.byteCountTotal)
        #expect(last.byteCountTotal == storage.report.byteCount)
        #expect(storage.report.newestHLC == 12)
    }

    /// A region full of headers that claim to be long does not keep recovery busy for ever.
    @Test func hostileBytesDoNotStallTheSearch() throws {
        let fileSystem = SimulatedFileSystem()
        var options = Fixture.options(segmentByteCount: 1024 * 1024)
        options.compressionLevel = nil
        let store = try Fixture.store(fileSystem, options)
        var header = RecordCodecTests.encode(RecordCodecTests.header, key: [1, 2, 3], value: [])
        header.replaceSubrange(4..<8, with: [0, 0, 3, 0])
        header.replaceSubrange(12..<16, with: [0xBD, 0xFF, 2, 0])
        let hostile = Array((0..<4000).map { _ in header[..<64] }.joined())
        try store.put(Fixture.key(1), hostile)
        try store.commit()
        try store.put(Fixture.key(2), [2])
        try store.commit()
        fileSystem.kill()
        fileSystem.flipBit(of: Fixture.segmentPath(1), offset: 4096, bit: 0)
        let again = try Fixture.store(fileSystem, options)
        #expect(try again.get(Fixture.key(1)) == nil)
        #expect(try again.get(Fixture.key(2)) == [2])
    }
}
