import Glibc
import PrustCore
import PrustSimulator
import PrustStorage
import Testing

@testable import PrustServer

@Suite struct RoundFileTests {
    typealias Fault = SimulatedFileSystem.Fault

    static let path = "/data/META.round"

    static func disk() throws -> SimulatedFileSystem {
        let disk = SimulatedFileSystem()
        try disk.makeDirectory("/data")
        return disk
    }

    static func next(_ disk: SimulatedFileSystem, hasRecords: Bool = true) throws -> UInt32 {
        let file = RoundFile(directory: "/data", fileSystem: disk)
        return try file.next(hasRecords: hasRecords)
    }

    static func put(_ text: String, on disk: SimulatedFileSystem) throws {
        let file = try disk.open(Self.path, .createOrTruncate)
        try file.write(all: Array(text.utf8), at: 0)
        try file.sync()
        try disk.syncDirectory("/data")
    }

    @Test func countsFromOne() throws {
        let disk = try Self.disk()
        for round in 1...5 as ClosedRange<UInt32> {
            #expect(try Self.next(disk, hasRecords: round > 1) == round)
        }
        #expect(disk.bytes(of: Self.path)?.count == 2 * RoundFile.slotByteCount)
    }

    @Test func theNumberOfAnEarlierReleaseIsTakenOver() throws {
        let disk = try Self.disk()
        try Self.put("41", on: disk)
        #expect(try Self.next(disk) == 42)
        #expect(try Self.next(disk) == 43)
        #expect(disk.bytes(of: Self.path)?.count == 2 * RoundFile.slotByteCount)
    }

    static let damages: [(name: String, text: String?)] = [
        ("missing", nil), ("empty", ""), ("no number", "x"), ("cut", "prustdb-round 7"),
        ("wrong checksum", "prustdb-round 7 crc32c 0\n"), ("used up", "4294967295"),
    ]

    @Test(arguments: damages)
    func aFileWithoutANumberKeepsTheStorageClosed(name: String, text: String?) throws {
        let disk = try Self.disk()
        if let text { try Self.put(text, on: disk) }
        #expect(throws: StorageError.self) { _ = try Self.next(disk) }
    }

    /// Whichever slot a bad sector takes, the other one has the number; without both there is none.
    @Test func oneSlotMayRot() throws {
        for slot in 0..<2 {
            let disk = try Self.disk()
            for _ in 0..<3 { _ = try Self.next(disk, hasRecords: false) }
            disk.flipBit(of: Self.path, offset: slot * RoundFile.slotByteCount + 14, bit: 0)
            #expect(try Self.next(disk) == 4)
            #expect(try Self.next(disk) == 5)
        }
        let disk = try Self.disk()
        _ = try Self.next(disk, hasRecords: false)
        disk.flipBit(of: Self.path, offset: 14, bit: 0)
        disk.flipBit(of: Self.path, offset: RoundFile.slotByteCount + 14, bit: 0)
        #expect(throws: StorageError.self) { _ = try Self.next(disk) }
    }

    @Test func oneSlotMayBeUnreadable() throws {
        for slot in 0..<2 {
            let disk = try Self.disk()
            for _ in 0..<3 { _ = try Self.next(disk, hasRecords: false) }
            let start = slot * RoundFile.slotByteCount
            disk.spoil(start..<start + 1, of: Self.path)
            #expect(try Self.next(disk) == 4)
            #expect(try Self.next(disk) == 5)
        }
        let disk = try Self.disk()
        _ = try Self.next(disk, hasRecords: false)
        disk.spoil(0..<2 * RoundFile.slotByteCount, of: Self.path)
        #expect(throws: StorageError.self) { _ = try Self.next(disk) }
    }

    @Test func aFullDiskIsNoObstacle() throws {
        let disk = try Self.disk()
        #expect(try Self.next(disk, hasRecords: false) == 1)
        disk.setCapacity(disk.usedByteCount)
        #expect(try Self.next(disk) == 2)
    }

    enum Start: CaseIterable, Sendable {
        case missing
        case bareNumber
        case slots

        /// Prepares a disk; returns the highest number that was ever given out on it.
        func prepare(_ disk: SimulatedFileSystem) throws -> UInt32 {
            switch self {
            case .missing: return 0
            case .bareNumber:
                try RoundFileTests.put("41", on: disk)
                return 41
            case .slots:
                return try RoundFileTests.next(disk, hasRecords: false)
            }
        }
    }

    static let effects: [Fault.Effect] = [
        .crashes, .fails(EIO), .fails(ENOSPC), .writesHalf(EIO), .writesHalf(ENOSPC),
    ]

    /// Each call fails in turn, with a crash or without; no number is ever given out twice.
    @Test(arguments: Start.allCases)
    func theRoundNeverGoesBack(start: Start) throws {
        for (number, effect) in Self.effects.enumerated() {
            for seed in 0..<8 as Range<UInt64> {
                var index = 0
                while try Self.strikes(start, effect, at: index, seed << 8 | UInt64(number)) {
                    index += 1
                }
                #expect(index > 3)
            }
        }
    }

    /// Runs some openings with a fault, then crashes and goes on; false if no call met the fault.
    private static func strikes(
        _ start: Start,
        _ effect: Fault.Effect,
        at index: Int,
        _ seed: UInt64
    ) throws -> Bool {
        var random = SeededRandom(seed: seed << 16 | UInt64(index))
        let disk = try Self.disk()
        var highest = try start.prepare(disk)
        func open() throws {
            let round = try Self.next(disk, hasRecords: highest > 0)
            #expect(round > highest, "\(effect) at call \(index), seed \(seed)")
            highest = max(highest, round)
        }
        // What a failed sync was to write is seen afterwards on some file systems only.
        let isReverting = random.next() % 2 == 0
        disk.plant(Fault(nil, index: index, effect, isReverting: isReverting))
        for _ in 0..<3 { try? open() }
        let hasStruck = disk.hasStruck
        for _ in 0..<2 {
            if random.next() % 4 == 0 { disk.kill() } else { disk.crash(random: &random) }
            try open()
        }
        return hasStruck
    }

    /// Deleted keys have versions too, and a new record must not rank below them.
    @Test func aLostNumberIsNoticedWhenOnlyTombstonesAreLeft() throws {
        let disk = SimulatedFileSystem()
        let first = try EngineFixture(disk)
        first.startLog()
        _ = first.run("incr", "a")
        _ = first.run("del", "a")
        first.waitForLog()
        first.stop()
        try disk.unlink(Self.path)
        #expect(throws: StorageError.self) { _ = try EngineFixture(disk) }
    }

    @Test func aNodeStartsOnAFullDiskAndServesReads() throws {
        let disk = SimulatedFileSystem()
        let first = try EngineFixture(disk)
        first.startLog()
        _ = first.run("set", "a", "1")
        first.waitForLog()
        first.stop()
        disk.setCapacity(disk.usedByteCount)
        let second = try EngineFixture(disk)
        #expect(second.run("get", "a") == "$1\r\n1\r\n")
        second.engine.close()
    }
}
