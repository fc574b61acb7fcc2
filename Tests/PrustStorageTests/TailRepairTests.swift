import Glibc
import PrustCore
import PrustSimulator
import PrustStorage
import Testing

/// The end of the log: what recovery makes of it, and what it must leave alone.
@Suite struct TailRepairTests {
    typealias Fault = SimulatedFileSystem.Fault

    /// Opens under a fault, and once more without it if need be.
    static func open(
        _ fileSystem: SimulatedFileSystem,
        _ fault: Fault
    ) throws -> (store: SynchronousStore, hasStruck: Bool) {
        fileSystem.plant(fault)
        let first = try? Fixture.store(fileSystem)
        let hasStruck = fileSystem.hasStruck
        fileSystem.plant(nil)
        if let first { return (first, hasStruck) }
        fileSystem.kill()
        return (try Fixture.store(fileSystem), hasStruck)
    }

    /// Says why a directory does not open.
    static func refusal(
        _ fileSystem: SimulatedFileSystem,
        _ options: StorageOptions = Fixture.options()
    ) -> String {
        do throws(StorageError) {
            _ = try Fixture.store(fileSystem, options)
            return "it opens"
        } catch {
            return "\(error)"
        }
    }

    // MARK: - A full disk

    /// The disk is full at one call of a recovery that has a torn tail to repair; whatever comes
    /// of it, what is written afterwards is there after further starts.
    @Test(arguments: [ENOSPC, EDQUOT, EIO])
    func anErrorAtAnyCallOfARepair(code: Int32) throws {
        let original = try RecoveryTests.killed(groupCount: 3)
        let records = try RecoveryTests.records(original, 1)
        original.flipBit(of: Fixture.segmentPath(1), offset: records[7].offset + 30, bit: 3)
        var index = 0
        while true {
            let fileSystem = original.copy()
            var random = SeededRandom(seed: UInt64(index))
            let fault = Fault(nil, index: index, .writesHalf(code))
            let (store, hasStruck) = try Self.open(fileSystem, fault)
            let answers = try (0..<3).map { try store.get(Fixture.key($0)) }
            try store.put(Fixture.key(50), [5])
            try store.commit()
            fileSystem.kill()
            for _ in 0..<2 {
                let again = try Fixture.store(fileSystem)
                #expect(try again.get(Fixture.key(50)) == [5], "call \(index)")
                for number in 0..<3 {
                    let answer = try again.get(Fixture.key(number))
                    #expect(answer == answers[number], "call \(index), key \(number)")
                }
                #expect(try again.storage.index.verify() == [], "call \(index)")
                fileSystem.crash(random: &random)
            }
            guard hasStruck else { break }
            index += 1
        }
        #expect(index > 10)
    }

    /// Nobody makes a segment in the place of one that is there.
    @Test func aSegmentIsNeverReplaced() throws {
        let fileSystem = SimulatedFileSystem()
        let options = Fixture.options(segmentByteCount: 8192)
        let (_, log) = try SegmentLogTests.open(fileSystem, options)
        let path = Fixture.segmentPath(2)
        try fileSystem.open(path, .create).write(all: [1, 2, 3], at: 0)
        #expect(throws: StorageError.self) {
            for hlc in UInt64(1)..<10 {
                let value = Fixture.noise(900, seed: hlc)
                _ = try log.append(SegmentLogTests.fields(hlc), [1], value)
                try log.commit()
            }
        }
        #expect(log.isFailed)
        #expect(fileSystem.bytes(of: path) == [1, 2, 3])
    }

    /// There is no further number for a segment that a group in doubt could be moved to.
    @Test func theLastNumberIsNoReasonNotToStart() throws {
        let fileSystem = SimulatedFileSystem()
        try Fixture.store(fileSystem).close()
        let path = Fixture.segmentPath(.max)
        let header = SegmentHeader(
            segment: .max,
            storageID: Fixture.storageID,
            previousByteCount: UInt64(SegmentHeader.byteCount),
            createdAt: 1
        )
        try fileSystem.open(path, .create).write(all: header.encoded(), at: 0)
        fileSystem.setBytes(header.encoded(), of: path)
        var options = Fixture.options()
        options.allowMissingSegments = true
        var random = SeededRandom(seed: 1)
        for number in 0..<4 {
            let store = try Fixture.store(fileSystem, options)
            #expect((store.storage.report.tornTail != nil) == (number == 3))
            for earlier in 0..<number {
                #expect(try store.get(Fixture.key(earlier)) == [UInt8(earlier)])
            }
            try store.put(Fixture.key(number), [UInt8(number)])
            try store.commit()
            let end = Int(store.log.durablePosition.offset)
            #expect(store.log.durablePosition.segment == .max)
            fileSystem.crash(random: &random)
            guard number == 2 else { continue }
            let bytes = try #require(fileSystem.bytes(of: path))
            fileSystem.setBytes(Array(bytes.prefix(end)) + [1, 2, 3], of: path)
        }
        // It is full some day, and then writes are refused.
        let store = try Fixture.store(fileSystem, options)
        try store.put(Fixture.key(0), Fixture.noise(5000, seed: 1))
        try store.commit()
        #expect(throws: StorageError.failed("the segment numbers have run out")) {
            try store.put(Fixture.key(1), Fixture.noise(5000, seed: 2))
        }
        #expect(try store.get(Fixture.key(3)) == [3])
    }

    // MARK: - An index that knows more

    /// Six segments of two records each, all of them in the index.
    static func swept(isClosed: Bool) throws -> SimulatedFileSystem {
        let fileSystem = SimulatedFileSystem()
        let store = try Fixture.store(fileSystem)
        for number in 0..<12 {
            try store.put(Fixture.key(number), Fixture.noise(3000, seed: UInt64(number)))
            try store.commit()
        }
        try store.sweep()
        try store.checkpoint()
        #expect(store.storage.index.position == LogPosition(segment: 6, offset: 10_240))
        if isClosed { try store.close() }
        fileSystem.kill()
        return fileSystem
    }

    static func expect(
        _ store: SynchronousStore,
        has numbers: Range<Int>
    ) throws {
        for number in numbers {
            let value = try store.get(Fixture.key(number))
            #expect(value == Fixture.noise(3000, seed: UInt64(number)), "key \(number)")
        }
    }

    @Test(arguments: [false, true])
    func aMissingLastSegmentIsNoticed(isClosed: Bool) throws {
        let fileSystem = try Self.swept(isClosed: isClosed)
        try fileSystem.unlink(Fixture.segmentPath(6))
        for _ in 0..<2 {
            let refusal = Self.refusal(fileSystem)
            #expect(refusal.contains("segments are missing behind number 5"), "\(refusal)")
            #expect(refusal.contains("set storage.on-missing-segments to serve"), "\(refusal)")
            #expect(try fileSystem.list("/data/segments").count == 5)
        }
        var options = Fixture.options()
        options.allowMissingSegments = true
        do {
            let store = try Fixture.store(fileSystem, options)
            let reason = store.storage.report.indexRebuilt
            #expect(reason == "its position is beyond the end of the log")
            try Self.expect(store, has: 0..<10)
            #expect(try store.get(Fixture.key(10)) == nil)
            try store.put(Fixture.key(11), [1])
            try store.commit()
            try store.close()
        }
        let store = try Fixture.store(fileSystem)
        try Self.expect(store, has: 0..<10)
        #expect(try store.get(Fixture.key(11)) == [1])
    }

    @Test(arguments: [false, true])
    func aShortenedLastSegmentIsNoticed(isClosed: Bool) throws {
        let original = try Self.swept(isClosed: isClosed)
        let path = Fixture.segmentPath(6)
        let bytes = try #require(original.bytes(of: path))
        for count in [0, 100, 4096, 4100, 7168, 7169, 10_000, 10_200] {
            let fileSystem = original.copy()
            fileSystem.setBytes(Array(bytes.prefix(count)), of: path)
            for _ in 0..<2 {
                let refusal = Self.refusal(fileSystem)
                let place = "cut at \(count): \(refusal)"
                #expect(refusal.contains("the records of segment 6 end at"), "\(place)")
                #expect(fileSystem.bytes(of: path)?.count == count, "\(place)")
            }
            var options = Fixture.options()
            options.allowMissingSegments = true
            try Self.expect(try Fixture.store(fileSystem, options), has: 0..<10)
        }
        // Nothing is gone with the marker, or with the zeros, or with the last record's padding.
        for count in [10_239, 10_240] {
            let fileSystem = original.copy()
            fileSystem.setBytes(Array(bytes.prefix(count)), of: path)
            for _ in 0..<2 {
                try Self.expect(try Fixture.store(fileSystem), has: 0..<12)
                fileSystem.kill()
            }
        }
    }

    @Test func zerosInPlaceOfRecordsAreNoticed() throws {
        let fileSystem = try Self.swept(isClosed: false)
        let path = Fixture.segmentPath(6)
        let bytes = try #require(fileSystem.bytes(of: path))
        let zeros = Array(repeating: UInt8(0), count: bytes.count - 7168)
        fileSystem.setBytes(Array(bytes.prefix(7168)) + zeros, of: path)
        #expect(Self.refusal(fileSystem).contains("the records of segment 6 end at offset 7168"))
    }

    /// The last record is damaged, and the index knows that it was durable: it is no torn tail, and
    /// nothing is cut off.
    @Test func damageBeforeTheIndexsPositionIsCorruption() throws {
        let fileSystem = try Self.swept(isClosed: false)
        let path = Fixture.segmentPath(6)
        fileSystem.flipBit(of: path, offset: 7168 + 100, bit: 1)
        let region = CorruptRegion(segment: 6, offset: 7168, byteCount: 3072)
        var refusing = Fixture.options()
        refusing.refusesCorruption = true
        for _ in 0..<2 {
            #expect(Self.refusal(fileSystem, refusing).contains("offset 7168"))
        }
        do {
            let store = try Fixture.store(fileSystem)
            #expect(store.storage.report.corruptRegions == [region])
            #expect(store.storage.report.tornTail == nil)
            #expect(fileSystem.bytes(of: path)?.count == 10_240)
            try Self.expect(store, has: 0..<11)
            // The index knows the place, so that nothing older is answered.
            #expect(throws: StorageError.self) { try store.get(Fixture.key(11)) }
            try store.put(Fixture.key(50), [5])
            try store.commit()
        }
        fileSystem.kill()
        var rebuilding = Fixture.options()
        rebuilding.rebuildIndex = true
        for options in [Fixture.options(), rebuilding] {
            let store = try Fixture.store(fileSystem, options)
            let regions = store.storage.report.corruptRegions
            #expect(regions == (options.rebuildIndex ? [region] : []))
            try Self.expect(store, has: 0..<11)
            #expect(try store.get(Fixture.key(50)) == [5])
            if options.rebuildIndex { #expect(try store.get(Fixture.key(11)) == nil) }
            #expect(try store.storage.index.verify() == [])
            fileSystem.kill()
        }
    }

    /// Where something must not be cut off and there is no room to go on elsewhere, the storage
    /// waits for room.
    @Test func corruptionAtTheEndOfAFullDiskStays() throws {
        let fileSystem = try Self.swept(isClosed: false)
        let path = Fixture.segmentPath(6)
        fileSystem.flipBit(of: path, offset: 7168 + 100, bit: 1)
        let bytes = try #require(fileSystem.bytes(of: path))
        fileSystem.setCapacity(fileSystem.usedByteCount)
        #expect(Self.refusal(fileSystem).contains("the disk is full"))
        #expect(fileSystem.bytes(of: path) == bytes)
        fileSystem.setCapacity(.max)
        try Self.expect(try Fixture.store(fileSystem), has: 0..<11)
    }
}
