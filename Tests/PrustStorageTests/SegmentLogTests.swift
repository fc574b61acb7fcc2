import Glibc
import PrustCore
import PrustSimulator
import PrustStorage
import Testing

@Suite struct SegmentLogTests {
    static func open(
        _ fileSystem: any FileSystem,
        _ options: StorageOptions = Fixture.options()
    ) throws -> (storage: Storage, log: SegmentLog) {
        let storage = try Storage.open(
            directory: Fixture.directory,
            fileSystem: fileSystem,
            options: options,
            hash: SimulatedHash.keyID(of:),
            sink: { _, _, _, _ in }
        )
        return (storage, try storage.makeLog())
    }

    static func fields(_ hlc: UInt64) -> RecordFields {
        RecordFields(version: Fixture.version(hlc), writtenAt: hlc << 16)
    }

    @Test func aGroupIsOneWriteAndOneSync() throws {
        let fileSystem = SimulatedFileSystem()
        let (storage, log) = try Self.open(fileSystem)
        // The first group extends the segment with zeros; the second finds them there.
        _ = try log.append(Self.fields(1), Fixture.key(1), [1])
        try log.commit()
        let writes = fileSystem.count(.write)
        let syncs = fileSystem.count(.syncData) + fileSystem.count(.sync)
        var locations: [Location] = []
        for number in 0..<10 {
            let location = try log.append(
                Self.fields(UInt64(number)),
                Fixture.key(number),
                [UInt8(number)]
            )
            locations.append(try #require(location))
        }
        try log.commit()
        #expect(fileSystem.count(.write) == writes + 1)
        #expect(fileSystem.count(.syncData) + fileSystem.count(.sync) == syncs + 1)
        for (number, location) in locations.enumerated() {
            let value = try storage.reader.value(location, keyID: Fixture.keyID(number))
            #expect(value == [UInt8(number)])
        }
        #expect(log.counters.appends == 11)
        #expect(log.counters.groups == 2)
        #expect(storage.reader.counters.reads == 10)
    }

    @Test func anEmptyCommitDoesNothing() throws {
        let fileSystem = SimulatedFileSystem()
        let (_, log) = try Self.open(fileSystem)
        let count = fileSystem.callCount
        try log.commit()
        #expect(fileSystem.callCount == count)
    }

    /// A record that ends exactly at the limit stays, one that is a byte longer starts a segment.
    @Test(arguments: [(0, UInt32(1)), (1, 2)])
    func rollsBehindTheLimit(excess: Int, segment: UInt32) throws {
        let options = Fixture.options(segmentByteCount: 8192)
        let (_, log) = try Self.open(SimulatedFileSystem(), options)
        let first = try log.append(Self.fields(1), [1], Fixture.noise(1024 - 65, seed: 1))
        #expect(first == Location(segment: 1, offset: 4096, byteCount: 1024))
        try log.commit()
        let rest = 8192 - 4096 - 1024
        let value = Fixture.noise(rest - 65 + excess, seed: 2)
        let second = try #require(try log.append(Self.fields(2), [2], value))
        try log.commit()
        #expect(second.segment == segment)
        #expect(log.durablePosition.segment == segment)
        if segment == 1 { #expect(log.durablePosition.offset == 8192) }
    }

    /// A group never spans segments: the record that would be over asks for a commit first.
    @Test func aFullGroupAsksForACommit() throws {
        let options = Fixture.options(segmentByteCount: 8192)
        let (_, log) = try Self.open(SimulatedFileSystem(), options)
        let value = Fixture.noise(2048 - 65, seed: 1)
        #expect(try log.append(Self.fields(1), [1], value) != nil)
        #expect(try log.append(Self.fields(2), [2], value) != nil)
        #expect(try log.append(Self.fields(3), [3], []) == nil)
        #expect(log.groupRecordCount == 2)
        try log.commit()
        let third = try log.append(Self.fields(3), [3], [])
        #expect(third == Location(segment: 2, offset: 4096, byteCount: 65))
    }

    @Test func aGroupHasALimit() throws {
        var options = Fixture.options(segmentByteCount: 64 * 1024)
        options.groupByteCountMax = 2048
        let (_, log) = try Self.open(SimulatedFileSystem(), options)
        let value = Fixture.noise(1024 - 65, seed: 1)
        #expect(try log.append(Self.fields(1), [1], value) != nil)
        #expect(try log.append(Self.fields(2), [2], value) != nil)
        #expect(try log.append(Self.fields(3), [3], []) == nil)
        try log.commit()
        // A single record may be larger than a group may grow.
        #expect(try log.append(Self.fields(3), [3], Fixture.noise(9000, seed: 3)) != nil)
    }

    @Test func aRecordLargerThanASegmentGetsOneOfItsOwn() throws {
        let fileSystem = SimulatedFileSystem()
        let (storage, log) = try Self.open(fileSystem, Fixture.options(segmentByteCount: 8192))
        _ = try log.append(Self.fields(1), [1], [1])
        try log.commit()
        let value = Fixture.noise(30_000, seed: 4)
        let location = try #require(try log.append(Self.fields(2), Fixture.key(2), value))
        try log.commit()
        #expect(location.segment == 2)
        #expect(try storage.reader.value(location, keyID: Fixture.keyID(2)) == value)
        _ = try log.append(Self.fields(3), [3], [3])
        try log.commit()
        #expect(log.durablePosition.segment == 3)
    }

    @Test func limitsOfKeyAndValue() throws {
        let options = Fixture.options(segmentByteCount: 1024 * 1024)
        let (storage, log) = try Self.open(SimulatedFileSystem(), options)
        let key = [UInt8](repeating: 1, count: Limits.keyByteCountMax)
        let value = [UInt8](repeating: 2, count: Limits.valueByteCountMax)
        let location = try #require(try log.append(Self.fields(1), key, value))
        try log.commit()
        let keyID = key.withUnsafeBytes { SimulatedHash.keyID(of: $0) }
        #expect(try storage.reader.value(location, keyID: keyID) == value)
        #expect(throws: StorageError.self) { try log.append(Self.fields(2), key + [1], []) }
        #expect(throws: StorageError.self) { try log.append(Self.fields(2), [], value + [1]) }
        let tombstone = RecordFields(version: .zero, writtenAt: 1, isTombstone: true)
        #expect(throws: StorageError.self) { try log.append(tombstone, [1], [1]) }
        #expect(try log.append(tombstone, [], []) != nil)
    }

    @Test func valuesAreCompressedWhereItPays() throws {
        let (storage, log) = try Self.open(SimulatedFileSystem())
        let short = try #require(
            try log.append(Self.fields(1), Fixture.key(1), Array(repeating: 1, count: 511))
        )
        let long = try #require(
            try log.append(Self.fields(2), Fixture.key(2), Array(repeating: 1, count: 512))
        )
        try log.commit()
        #expect(short.byteCount == 64 + 5 + 511)
        #expect(long.byteCount < 64 + 5 + 80)
        let value = try storage.reader.value(long, keyID: Fixture.keyID(2))
        #expect(value == Array(repeating: 1, count: 512))
    }

    @Test func aFailedSyncStopsTheLogForGood() throws {
        let fileSystem = SimulatedFileSystem()
        let (_, log) = try Self.open(fileSystem)
        _ = try log.append(Self.fields(1), [1], [1])
        fileSystem.plant(.init(.syncData, index: 0, .fails(EIO)))
        #expect(throws: StorageError.self) { try log.commit() }
        #expect(log.isFailed)
        let syncs = fileSystem.count(.syncData)
        for _ in 0..<3 {
            #expect(throws: StorageError.self) { try log.append(Self.fields(2), [2], [2]) }
            #expect(throws: StorageError.self) { try log.commit() }
        }
        // Another sync would succeed and prove nothing.
        #expect(fileSystem.count(.syncData) == syncs)
    }

    @Test func aFullDiskRefusesAndHeals() throws {
        let fileSystem = SimulatedFileSystem()
        let (storage, log) = try Self.open(fileSystem)
        let kept = try #require(try log.append(Self.fields(1), Fixture.key(1), [1]))
        try log.commit()
        fileSystem.setCapacity(fileSystem.usedByteCount)
        let value = Fixture.noise(3000, seed: 1)
        for _ in 0..<3 {
            _ = try log.append(Self.fields(2), Fixture.key(2), value)
            do {
                try log.commit()
                Issue.record("the disk should be full")
            } catch StorageError.full(let error) {
                #expect(error.isNoSpace)
            }
            #expect(log.groupRecordCount == 0)
            #expect(!log.isFailed)
        }
        // Reads go on, and so does the log when there is room again.
        #expect(try storage.reader.value(kept, keyID: Fixture.keyID(1)) == [1])
        fileSystem.setCapacity(.max)
        let healed = try #require(try log.append(Self.fields(3), Fixture.key(3), [3]))
        try log.commit()
        #expect(try storage.reader.value(healed, keyID: Fixture.keyID(3)) == [3])
        try log.close()
        storage.close()
        let store = try Fixture.store(fileSystem)
        #expect(try store.get(Fixture.key(1)) == [1])
        #expect(try store.get(Fixture.key(2)) == nil)
        #expect(try store.get(Fixture.key(3)) == [3])
    }

    @Test func aSpareSegmentIsUsed() throws {
        let fileSystem = SimulatedFileSystem()
        let (storage, log) = try Self.open(fileSystem, Fixture.options(segmentByteCount: 8192))
        #expect(!log.spare.isWanted)
        var hlc: UInt64 = 1
        while !log.spare.isWanted {
            _ = try log.append(Self.fields(hlc), Fixture.key(1), Fixture.noise(900, seed: hlc))
            try log.commit()
            hlc += 1
        }
        #expect(log.durablePosition.segment == 1)
        try log.spare.prepare()
        #expect(!log.spare.isWanted)
        #expect(fileSystem.bytes(of: "/data/segments/spare.tmp")?.count == 8192)
        while log.durablePosition.segment == 1 {
            _ = try log.append(Self.fields(hlc), Fixture.key(1), Fixture.noise(900, seed: hlc))
            try log.commit()
            hlc += 1
        }
        #expect(fileSystem.bytes(of: "/data/segments/spare.tmp") == nil)
        #expect(fileSystem.bytes(of: Fixture.segmentPath(2))?.count == 8192)
        try log.close()
        storage.close()
        #expect(try Fixture.store(fileSystem).get(Fixture.key(1))?.count == 900)
    }

    static let sparePath = "/data/segments/spare.tmp"

    /// A log of small segments that wants a spare file.
    static func wanting(
        _ fileSystem: SimulatedFileSystem
    ) throws -> (storage: Storage, log: SegmentLog) {
        let (storage, log) = try Self.open(fileSystem, Fixture.options(segmentByteCount: 8192))
        _ = try log.append(Self.fields(1), Fixture.key(1), Fixture.noise(900, seed: 1))
        try log.commit()
        #expect(log.spare.isWanted)
        return (storage, log)
    }

    @Test(arguments: [(UInt64(2 * 8192 - 1), false), (UInt64(2 * 8192), true)])
    func aSpareSegmentIsOnlyMadeWhereThereIsPlentyOfRoom(free: UInt64, isMade: Bool) throws {
        let fileSystem = SimulatedFileSystem()
        let (_, log) = try Self.wanting(fileSystem)
        fileSystem.setCapacity(fileSystem.usedByteCount + free)
        try log.spare.prepare()
        #expect((fileSystem.bytes(of: Self.sparePath)?.count == 8192) == isMade)
        #expect((fileSystem.bytes(of: Self.sparePath) == nil) == !isMade)
        #expect(!log.spare.isWanted)
        // The next group asks again, unless there is one.
        _ = try log.append(Self.fields(2), Fixture.key(2), [2])
        try log.commit()
        #expect(log.spare.isWanted == !isMade)
    }

    @Test func aSpareSegmentThatDoesNotFitIsGivenUp() throws {
        let fileSystem = SimulatedFileSystem()
        let (_, log) = try Self.wanting(fileSystem)
        fileSystem.plant(.init(.write, index: 0, .writesHalf(ENOSPC)))
        do throws(StorageError) {
            try log.spare.prepare()
            Issue.record("it was made")
        } catch {
            guard case .full = error else { throw error }
        }
        #expect(fileSystem.bytes(of: Self.sparePath) == nil)
    }

    /// Groups need the room of the spare file more than the next segment does.
    @Test func aSpareSegmentMakesRoomForAGroup() throws {
        let fileSystem = SimulatedFileSystem()
        let (storage, log) = try Self.wanting(fileSystem)
        try log.spare.prepare()
        #expect(fileSystem.bytes(of: Self.sparePath)?.count == 8192)
        fileSystem.setCapacity(fileSystem.usedByteCount)
        for hlc in UInt64(2)...4 {
            let value = Fixture.noise(900, seed: hlc)
            _ = try log.append(Self.fields(hlc), Fixture.key(Int(hlc)), value)
            try log.commit()
        }
        #expect(fileSystem.bytes(of: Self.sparePath) == nil)
        #expect(log.durablePosition.segment == 1)
        try log.close()
        storage.close()
        let store = try Fixture.store(fileSystem)
        for hlc in 1...4 {
            let value = try store.get(Fixture.key(hlc))
            #expect(value == Fixture.noise(900, seed: UInt64(hlc)))
        }
    }

    @Test func preparingAheadKeepsSyncsSmall() throws {
        let fileSystem = SimulatedFileSystem()
        let (_, log) = try Self.open(fileSystem, Fixture.options(segmentByteCount: 64 * 1024))
        for hlc in UInt64(1)..<30 {
            try log.prepare()
            _ = try log.append(Self.fields(hlc), [1], Fixture.noise(900, seed: hlc))
            try log.commit()
        }
        #expect(log.counters.extensions == 0)
    }

    @Test func closedMeansClosed() throws {
        let (storage, log) = try Self.open(SimulatedFileSystem())
        try log.close()
        try log.close()
        #expect(throws: StorageError.closed) { try log.append(Self.fields(1), [1], [1]) }
        #expect(throws: StorageError.closed) { try storage.makeLog() }
    }

    /// A key is read with its record, checked and counted, whatever its value is.
    @Test func aKeyIsReadWithoutItsValue() throws {
        let fileSystem = SimulatedFileSystem()
        let (storage, log) = try Self.open(fileSystem)
        let value = Array(repeating: UInt8(1), count: 3000)
        let location = try #require(try log.append(Self.fields(1), Fixture.key(1), value))
        try log.commit()
        #expect(location.byteCount < 1000)
        var byteCount = 5
        let key = try storage.reader.key(
            location,
            keyID: Fixture.keyID(1),
            byteCount: &byteCount
        )
        #expect(key == Fixture.key(1))
        #expect(byteCount == 5 + Int(location.byteCount))
        fileSystem.flipBit(
            of: Fixture.segmentPath(1),
            offset: Int(location.offset + location.byteCount) - 1,
            bit: 0
        )
        var corruptByteCount = 0
        do throws(ReadError) {
            _ = try storage.reader.key(
                location,
                keyID: Fixture.keyID(1),
                byteCount: &corruptByteCount
            )
            Issue.record("it was read")
        } catch {
            #expect(error == .corrupt(location, .checksum))
        }
        #expect(corruptByteCount == Int(location.byteCount))
        #expect(storage.reader.counters.corruptions == 1)
    }

    @Test func theReaderKeepsFewFilesOpenAndTrustsNothing() throws {
        let fileSystem = SimulatedFileSystem()
        let (storage, log) = try Self.open(fileSystem, Fixture.options(segmentByteCount: 8192))
        var locations: [Location] = []
        for number in 0..<8 {
            let value = Fixture.noise(3000, seed: UInt64(number))
            let fields = Self.fields(UInt64(number))
            locations.append(try #require(try log.append(fields, Fixture.key(number), value)))
            try log.commit()
        }
        for (number, location) in locations.enumerated() {
            #expect(
                try storage.reader.key(location, keyID: Fixture.keyID(number))
                    == Fixture.key(number)
            )
        }
        #expect(locations.last?.segment == 8)
        #expect(storage.reader.handleCount == 4)
        // A valid record, but of another key than the index promised.
        #expect(throws: ReadError.corrupt(locations[0], .wrongKey)) {
            try storage.reader.value(locations[0], keyID: Fixture.keyID(1))
        }
        var moved = locations[0]
        moved.offset += 8
        #expect(throws: ReadError.self) {
            try storage.reader.value(moved, keyID: Fixture.keyID(0))
        }
        var beyond = locations[0]
        beyond.offset = .max
        #expect(throws: ReadError.corrupt(beyond, .truncated)) {
            try storage.reader.value(beyond, keyID: Fixture.keyID(0))
        }
        #expect(storage.reader.counters.corruptions == 3)
    }
}
