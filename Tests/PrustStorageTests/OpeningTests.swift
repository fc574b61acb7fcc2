import Glibc
import PrustCore
import PrustSimulator
import PrustStorage
import Testing

/// When a directory opens, when it does not, and who holds it.
@Suite struct OpeningTests {
    static func open(
        _ fileSystem: SimulatedFileSystem,
        lock: (any File)?
    ) throws(StorageError) -> Storage {
        try Storage.open(
            directory: Fixture.directory,
            fileSystem: fileSystem,
            options: Fixture.options(),
            lock: lock,
            hash: SimulatedHash.keyID(of:),
            sink: { _, _, _, _ in }
        )
    }

    // MARK: - The lock

    static let isHeld = StorageError.locked(path: "/data/LOCK", holder: 1)

    @Test func theLockCanBeKeptWhileTheStorageIsOpenedAgain() throws {
        let fileSystem = SimulatedFileSystem()
        let first = try Self.open(fileSystem, lock: nil)
        let second = try Self.reopen(first, fileSystem)
        #expect(throws: Self.isHeld) { try Self.open(fileSystem, lock: nil) }
        second.close()
        _ = try Self.open(fileSystem, lock: nil)
    }

    /// Hands the lock over; it is given back with the last reference to it.
    private static func reopen(
        _ first: Storage,
        _ fileSystem: SimulatedFileSystem
    ) throws -> Storage {
        let lock = first.closeKeepingLock()
        let isHandedOut = lock != nil
        #expect(isHandedOut)
        let isHandedOutTwice = first.closeKeepingLock() != nil
        #expect(!isHandedOutTwice)
        #expect(throws: Self.isHeld) { try Self.open(fileSystem, lock: nil) }
        // An opening that fails does not give it back.
        fileSystem.plant(.init(.list, index: 0, .fails(EIO)))
        #expect(throws: StorageError.self) { try Self.open(fileSystem, lock: lock) }
        #expect(throws: Self.isHeld) { try Self.open(fileSystem, lock: nil) }
        return try Self.open(fileSystem, lock: lock)
    }

    // MARK: - Corruption

    @Test func corruptionCanBeRefused() throws {
        let fileSystem = try RecoveryTests.killed(groupCount: 3)
        let path = Fixture.segmentPath(1)
        fileSystem.flipBit(of: path, offset: 4096 + 30, bit: 1)
        let bytes = fileSystem.bytes(of: path)
        var refusing = Fixture.options()
        refusing.refusesCorruption = true
        for _ in 0..<2 {
            let refusal = TailRepairTests.refusal(fileSystem, refusing)
            #expect(refusal.contains(path), "\(refusal)")
            #expect(refusal.contains("bytes at offset 4096 are not the records"), "\(refusal)")
            #expect(fileSystem.bytes(of: path) == bytes)
        }
        let store = try Fixture.store(fileSystem)
        #expect(store.storage.report.corruptRegions.map(\.offset) == [4096])
    }

    /// A rebuild that meets corruption must not leave an index behind that has got over it.
    @Test func corruptionIsRefusedAgainAfterARebuild() throws {
        let fileSystem = try RecoveryTests.manySegments()
        fileSystem.flipBit(of: Fixture.segmentPath(1), offset: 4096 + 30, bit: 1)
        try fileSystem.unlink(Fixture.indexPath)
        var refusing = Fixture.options()
        refusing.refusesCorruption = true
        for byteCountMax in [UInt64.max, 0, UInt64.max] {
            refusing.replayByteCountMax = byteCountMax
            let refusal = TailRepairTests.refusal(fileSystem, refusing)
            #expect(refusal.contains("bytes at offset 4096 are not the records"), "\(refusal)")
        }
        let store = try Fixture.store(fileSystem)
        #expect(store.storage.report.corruptRegions.map(\.segment) == [1])
        #expect(try store.get(Fixture.key(0)) == nil)
        for number in 1..<12 {
            #expect(try store.get(Fixture.key(number)) == Fixture.noise(3000, seed: UInt64(number)))
        }
    }

    @Test func aHealthyDirectoryIsNotRefused() throws {
        let fileSystem = try RecoveryTests.killed(groupCount: 3)
        var refusing = Fixture.options()
        refusing.refusesCorruption = true
        for rebuilds in [false, true] {
            refusing.rebuildIndex = rebuilds
            let store = try Fixture.store(fileSystem, refusing)
            #expect(try store.get(Fixture.key(2)) == Fixture.noise(40, seed: 8))
            fileSystem.kill()
        }
    }

    /// What the format says is served once the index has been made again without a record.
    @Test func afterARebuildTheRecordBeforeACorruptOneIsServed() throws {
        let fileSystem = SimulatedFileSystem()
        let writes: [[UInt8]?] = [[1], [2], nil]
        for number in 0..<2 {
            let store = try Fixture.store(fileSystem)
            for write in writes[..<(number + 2)] {
                try store.put(Fixture.key(number), write)
                try store.commit()
            }
            try store.close()
        }
        // The second value of one key, and the deletion of the other.
        let places = [
            try Self.place(fileSystem, Fixture.key(0), count: 2),
            try Self.place(fileSystem, Fixture.key(1), count: 3),
        ]
        for place in places {
            fileSystem.flipBit(of: Fixture.segmentPath(1), offset: place + 40, bit: 1)
        }
        try fileSystem.unlink(Fixture.indexPath)
        let store = try Fixture.store(fileSystem)
        #expect(store.storage.report.corruptRegions.count == 2)
        #expect(try store.get(Fixture.key(0)) == [1])
        #expect(try store.get(Fixture.key(1)) == [2])
    }

    /// Where the last of so many records of a key begins in the first segment.
    static func place(
        _ fileSystem: SimulatedFileSystem,
        _ key: [UInt8],
        count: Int
    ) throws -> Int {
        let bytes = try #require(fileSystem.bytes(of: Fixture.segmentPath(1)))
        let places = try RecoveryTests.records(fileSystem, 1).map(\.offset).filter { offset in
            Array(bytes[offset + 64..<min(offset + 64 + key.count, bytes.count)]) == key
        }
        #expect(places.count == count)
        return try #require(places.last)
    }

    // MARK: - Passing errors

    /// An error that passes is no reason to read all segments again.
    @Test(arguments: [
        (SimulatedFileSystem.Call.open, EMFILE), (.open, EIO), (.read, EIO), (.size, EIO),
        (.write, EIO), (.truncate, EIO),
    ])
    func aPassingErrorLeavesTheIndex(call: SimulatedFileSystem.Call, code: Int32) throws {
        let original = try IndexTests.filled()
        let options = Fixture.options(segmentByteCount: 256 * 1024)
        var index = 0
        while true {
            let fileSystem = original.copy()
            fileSystem.plant(.init(call, index: index, .fails(code)))
            let first = try? Fixture.store(fileSystem, options)
            #expect(first?.storage.report.indexRebuilt == nil, "call \(index)")
            let hasStruck = fileSystem.hasStruck
            fileSystem.plant(nil)
            fileSystem.kill()
            let store = try Fixture.store(fileSystem, options)
            #expect(store.storage.report.indexRebuilt == nil, "call \(index)")
            #expect(store.storage.index.count == 400, "call \(index)")
            guard hasStruck else { break }
            index += 1
        }
        #expect(index > 0)
    }

    // MARK: - Progress

    /// Whoever waits hears of each transaction and of each step of a checkpoint.
    @Test func aRebuildTellsOfItself() throws {
        let fileSystem = SimulatedFileSystem()
        let options = Fixture.options(segmentByteCount: 1024 * 1024)
        let filled = try Fixture.store(fileSystem, options)
        for number in 0..<2500 { try filled.put(Fixture.key(number), [1]) }
        try filled.commit()
        try filled.close()
        try fileSystem.unlink(Fixture.indexPath)
        var seen: [RecoveryProgress] = []
        let storage = try Storage.open(
            directory: Fixture.directory,
            fileSystem: fileSystem,
            options: options,
            hash: SimulatedHash.keyID(of:),
            progress: { seen.append($0) },
            sink: { _, _, _, _ in }
        )
        #expect(storage.index.count == 2500)
        let told = seen.filter { $0.phase == .rebuildingIndex }
        // Start and end of reading, three transactions, four steps of the checkpoint.
        #expect(told.count == 2 + 3 + 4)
        #expect(told.last?.byteCount == told.last?.byteCountTotal)
    }
}
