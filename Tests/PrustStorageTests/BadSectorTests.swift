import Glibc
import PrustCore
import PrustSimulator
import PrustStorage
import Testing

/// Blocks that the disk cannot read, for good or for a while.
@Suite struct BadSectorTests {
    static let recordCount = 12
    /// Bytes of a record with its padding.
    static let recordByteCount = 2976
    static let blockByteCount = 4096

    static var options: StorageOptions {
        Fixture.options(segmentByteCount: 256 * 1024, extensionByteCount: 64 * 1024)
    }

    static func value(_ number: Int) -> [UInt8] { Fixture.noise(2900, seed: UInt64(number)) }

    /// One segment with a group for each of twelve records, and zeros behind them.
    static func killed() throws -> SimulatedFileSystem {
        let fileSystem = SimulatedFileSystem()
        let store = try Fixture.store(fileSystem, Self.options)
        for number in 0..<Self.recordCount {
            try store.put(Fixture.key(number), Self.value(number))
            try store.commit()
        }
        fileSystem.kill()
        return fileSystem
    }

    /// The records that have a byte in a block.
    static func records(in block: Int) -> [Int] {
        (0..<Self.recordCount).filter { number in
            let start = 4096 + number * Self.recordByteCount
            return start < (block + 1) * Self.blockByteCount
                && block * Self.blockByteCount < start + Self.recordByteCount
        }
    }

    static func check(_ store: SynchronousStore, without lost: [Int], _ name: String) throws {
        for number in 0..<Self.recordCount {
            let value = try store.get(Fixture.key(number))
            let expected = lost.contains(number) ? nil : Self.value(number)
            #expect(value == expected, "\(name), key \(number)")
        }
        #expect(try store.storage.index.verify() == [], "\(name)")
    }

    /// The storage opens whatever block is bad, reports it if records are lost with it, and cuts
    /// nothing off: when the block can be read again, all records are back.
    @Test func everyBlockOfTheLastSegment() throws {
        let original = try Self.killed()
        let path = Fixture.segmentPath(1)
        let byteCount = try #require(original.bytes(of: path)).count
        #expect(byteCount > 17 * Self.blockByteCount)
        for block in 1...byteCount / Self.blockByteCount {
            let fileSystem = original.copy()
            let start = block * Self.blockByteCount
            fileSystem.spoil(start..<min(start + Self.blockByteCount, byteCount), of: path)
            let lost = Self.records(in: block)
            do {
                let store = try Fixture.store(fileSystem, Self.options)
                let report = store.storage.report
                #expect(report.corruptRegions.count == (lost.isEmpty ? 0 : 1), "block \(block)")
                #expect((report.tornTail == nil) == !lost.isEmpty, "block \(block)")
                try Self.check(store, without: lost, "block \(block)")
                try store.put(Fixture.key(50), [5])
                try store.commit()
            }
            fileSystem.kill()
            do {
                let store = try Fixture.store(fileSystem, Self.options)
                try Self.check(store, without: lost, "block \(block), second start")
                #expect(try store.get(Fixture.key(50)) == [5])
            }
            fileSystem.kill()
            fileSystem.setBytes(try #require(fileSystem.bytes(of: path)), of: path)
            var options = Self.options
            options.rebuildIndex = true
            let store = try Fixture.store(fileSystem, options)
            try Self.check(store, without: [], "block \(block), healed")
            #expect(try store.get(Fixture.key(50)) == [5])
        }
    }

    /// The index knows that the last records were durable, and the disk cannot read them.
    @Test func aBadBlockBeforeTheIndexsPosition() throws {
        let fileSystem = SimulatedFileSystem()
        let store = try Fixture.store(fileSystem, Self.options)
        for number in 0..<Self.recordCount {
            try store.put(Fixture.key(number), Self.value(number))
            try store.commit()
        }
        try store.sweep()
        try store.checkpoint()
        fileSystem.kill()
        let path = Fixture.segmentPath(1)
        let start = 9 * Self.blockByteCount
        fileSystem.spoil(start..<start + Self.blockByteCount, of: path)
        let again = try Fixture.store(fileSystem, Self.options)
        #expect(again.storage.report.corruptRegions.count == 1)
        #expect(again.storage.report.tornTail == nil)
        for number in 0..<Self.recordCount where !Self.records(in: 9).contains(number) {
            #expect(try again.get(Fixture.key(number)) == Self.value(number))
        }
        #expect(throws: StorageError.self) { try again.get(Fixture.key(11)) }
    }

    /// A device that reads nothing from some moment on is not taken for one with bad blocks.
    @Test func aDeviceThatIsGoneForAWhileLosesNothing() throws {
        let original = try Self.killed()
        var index = 0
        while true {
            let fileSystem = original.copy()
            fileSystem.plant(.init(.read, index: index, .fails(EIO), isLasting: true))
            _ = try? Fixture.store(fileSystem, Self.options)
            let hasStruck = fileSystem.hasStruck
            fileSystem.plant(nil)
            fileSystem.kill()
            let store = try Fixture.store(fileSystem, Self.options)
            #expect(store.storage.report.corruptRegions == [], "read \(index)")
            try Self.check(store, without: [], "read \(index)")
            guard hasStruck else { break }
            index += 1
        }
        #expect(index > 5)
    }

    @Test func aBadBlockInASealedSegment() throws {
        let fileSystem = try RecoveryTests.manySegments()
        fileSystem.spoil(4096..<8192, of: Fixture.segmentPath(1))
        var options = Fixture.options()
        options.rebuildIndex = true
        let store = try Fixture.store(fileSystem, options)
        #expect(store.storage.report.corruptRegions.map(\.segment) == [1])
        for number in 0..<12 {
            let expected = number < 2 ? nil : Fixture.noise(3000, seed: UInt64(number))
            #expect(try store.get(Fixture.key(number)) == expected, "key \(number)")
        }
    }

    @Test func aBadFirstBlock() throws {
        let original = try RecoveryTests.manySegments()
        let count = try original.list("/data/segments").count
        for segment in 1...UInt32(count) {
            let fileSystem = original.copy()
            fileSystem.spoil(0..<4096, of: Fixture.segmentPath(segment))
            let store = try Fixture.store(fileSystem)
            let region = CorruptRegion(segment: segment, offset: 0, byteCount: 4096)
            #expect(store.storage.report.corruptRegions == [region])
            for number in 0..<12 {
                let expected = Fixture.noise(3000, seed: UInt64(number))
                #expect(try store.get(Fixture.key(number)) == expected)
            }
        }
    }

    @Test func everyBadPageOfTheIndex() throws {
        let original = try IndexTests.filled()
        let byteCount = try #require(original.bytes(of: Fixture.indexPath)).count
        for page in 0..<byteCount / 8192 {
            let fileSystem = original.copy()
            fileSystem.spoil(page * 8192..<(page + 1) * 8192, of: Fixture.indexPath)
            try IndexTests.check(fileSystem, "page \(page)")
        }
    }

    // MARK: - The simulated disk

    @Test func aSpoiledRangeIsUnreadableUntilItIsWritten() throws {
        let fileSystem = SimulatedFileSystem()
        let file = try fileSystem.open("/a", .create)
        try file.write(all: Array(repeating: 7, count: 2048), at: 0)
        fileSystem.spoil(600..<700, of: "/a")
        func isReadable(_ range: Range<Int>) -> Bool {
            let buffer = UnsafeMutableRawBufferPointer.allocate(
                byteCount: range.count,
                alignment: 1
            )
            defer { buffer.deallocate() }
            return (try? file.read(into: buffer, at: UInt64(range.lowerBound))) == range.count
        }
        #expect(isReadable(0..<512))
        #expect(!isReadable(0..<513))
        #expect(!isReadable(1023..<1024))
        #expect(isReadable(1024..<2048))
        try file.write(all: [1, 2, 3], at: 600)
        #expect(!isReadable(512..<1024))
        try file.write(all: Array(repeating: 1, count: 512), at: 512)
        #expect(isReadable(0..<2048))
    }

    /// After a failed sync some file systems show the new contents, and some the old ones.
    @Test(arguments: [false, true])
    func aFailedSyncShowsNewOrOldContents(isReverting: Bool) throws {
        let fileSystem = SimulatedFileSystem()
        let file = try fileSystem.open("/a", .create)
        try file.write(all: Array(repeating: 1, count: 600), at: 0)
        try file.syncData()
        try file.write(all: Array(repeating: 2, count: 1000), at: 300)
        fileSystem.plant(.init(.syncData, index: 0, .fails(EIO), isReverting: isReverting))
        #expect(throws: FileError.self) { try file.syncData() }
        let new = Array(repeating: UInt8(1), count: 300) + Array(repeating: 2, count: 1000)
        let old = Array(repeating: UInt8(1), count: 600) + Array(repeating: 0, count: 700)
        #expect(fileSystem.bytes(of: "/a") == (isReverting ? old : new))
        // What is written from then on is durable again.
        try file.write(all: [9], at: 1200)
        try file.syncData()
        try fileSystem.syncDirectory("/")
        var random = SeededRandom(seed: 1)
        fileSystem.crash(random: &random)
        let bytes = try #require(fileSystem.bytes(of: "/a"))
        #expect(bytes.count > 1200)
        #expect(bytes[1200] == 9)
        #expect(bytes[..<600].allSatisfy { $0 == 1 })
    }
}
