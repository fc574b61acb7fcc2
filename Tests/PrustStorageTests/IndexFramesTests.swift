import Glibc
import PrustCore
import PrustSimulator
import PrustStorage
import Testing

/// The checksums under test, behind a reference: a check of an expectation cannot change a value.
private final class Frames {
    private var frames: IndexFrames

    init() { self.frames = IndexFrames() }

    init(countMax: Int) { self.frames = IndexFrames(countMax: countMax) }

    func write(_ bytes: [UInt8], at offset: UInt64) {
        self.willWrite(bytes.count, at: offset)
        bytes.withUnsafeBytes { self.frames.didWrite($0, at: offset) }
    }

    func willWrite(_ byteCount: Int, at offset: UInt64) {
        self.frames.willWrite(byteCount, at: offset)
    }

    func read(_ bytes: [UInt8], at offset: UInt64) -> Bool {
        bytes.withUnsafeBytes { self.frames.check($0, at: offset) }
    }

    func truncate(to byteCount: UInt64) {
        self.frames.truncate(to: byteCount)
    }
}

@Suite struct IndexFramesTests {
    static let pageByteCount = 8192
    static let headerByteCount = 24

    static func frame(_ index: Int) -> UInt64 {
        UInt64(32 + index * (Self.headerByteCount + Self.pageByteCount))
    }

    static func pageOffset(_ index: Int) -> UInt64 {
        Self.frame(index) + UInt64(Self.headerByteCount)
    }

    static func page(_ seed: UInt64) -> [UInt8] { Fixture.noise(Self.pageByteCount, seed: seed) }

    static func changed(_ page: [UInt8]) -> [UInt8] {
        var page = page
        page[4000] ^= 1
        return page
    }

    /// Three frames as SQLite writes them: header, then page.
    private static func written() -> Frames {
        let frames = Frames()
        frames.write(Array(repeating: 1, count: 32), at: 0)
        for index in 0..<3 {
            frames.write(Array(repeating: 2, count: Self.headerByteCount), at: Self.frame(index))
            frames.write(Self.page(UInt64(index)), at: Self.pageOffset(index))
        }
        return frames
    }

    @Test func aPageMustBeTheOneThatWasWritten() {
        let frames = Self.written()
        for index in 0..<3 {
            let page = Self.page(UInt64(index))
            let header = Array(repeating: UInt8(9), count: Self.headerByteCount)
            #expect(frames.read(page, at: Self.pageOffset(index)))
            #expect(!frames.read(Self.changed(page), at: Self.pageOffset(index)))
            #expect(frames.read(header + page, at: Self.frame(index)))
            #expect(!frames.read(header + Self.changed(page), at: Self.frame(index)))
            // Headers are SQLite's affair.
            #expect(frames.read(header, at: Self.frame(index)))
            #expect(frames.read(Array(header[16...]), at: Self.frame(index) + 16))
        }
        #expect(frames.read(Array(repeating: 7, count: 32), at: 0))
    }

    /// What SQLite reads at the start, it checks itself.
    @Test func aPageThatIsNotKnownIsTakenDown() {
        let frames = Frames()
        let page = Self.page(1)
        let header = Array(repeating: UInt8(9), count: Self.headerByteCount)
        #expect(frames.read(header + page, at: Self.frame(5)))
        #expect(frames.read(page, at: Self.pageOffset(5)))
        #expect(!frames.read(Self.changed(page), at: Self.pageOffset(5)))
    }

    @Test func aFrameIsUsedAgain() {
        let frames = Self.written()
        frames.write(Self.page(77), at: Self.pageOffset(1))
        #expect(frames.read(Self.page(77), at: Self.pageOffset(1)))
        #expect(!frames.read(Self.page(1), at: Self.pageOffset(1)))
        #expect(frames.read(Self.page(2), at: Self.pageOffset(2)))
    }

    static let partial: [(offset: UInt64, byteCount: Int, unknown: [Int])] = [
        (Self.pageOffset(1), 100, [1]),
        (Self.pageOffset(1) + 8000, 192, [1]),
        (Self.pageOffset(1) + 8191, 1, [1]),
        (Self.pageOffset(1) + 8192, 24, []),
        (Self.pageOffset(1) + 8191, 26, [1, 2]),
        (Self.frame(1), 24 + 8192 + 24, [1]),
        (0, 100_000, [0, 1, 2]),
    ]

    @Test(arguments: partial)
    func aPageWrittenInPartIsNotKnown(offset: UInt64, byteCount: Int, unknown: [Int]) {
        let frames = Self.written()
        frames.write(Array(repeating: 5, count: byteCount), at: offset)
        for index in 0..<3 {
            let isAccepted = frames.read(Self.page(99), at: Self.pageOffset(index))
            #expect(isAccepted == unknown.contains(index), "frame \(index)")
        }
    }

    @Test func aWriteThatFailsLeavesNothingKnown() {
        let frames = Self.written()
        frames.willWrite(Self.pageByteCount, at: Self.pageOffset(1))
        #expect(frames.read(Self.page(99), at: Self.pageOffset(1)))
    }

    @Test func whatIsCutOffIsForgotten() {
        let frames = Self.written()
        frames.truncate(to: Self.frame(2) + 100)
        #expect(!frames.read(Self.page(99), at: Self.pageOffset(1)))
        #expect(frames.read(Self.page(99), at: Self.pageOffset(2)))
        frames.truncate(to: 0)
        #expect(frames.read(Self.page(99), at: Self.pageOffset(0)))
    }

    @Test func framesAboveTheLimitAreNotLookedAfter() {
        let frames = Frames(countMax: 2)
        for index in 0..<3 { frames.write(Self.page(1), at: Self.pageOffset(index)) }
        #expect(!frames.read(Self.page(2), at: Self.pageOffset(1)))
        #expect(frames.read(Self.page(2), at: Self.pageOffset(2)))
    }

    // MARK: - In the index

    /// A frame that rots while the index is open must not become a page with a right checksum.
    @Test func aFrameThatRotsIsNotCopied() throws {
        let fileSystem = SimulatedFileSystem()
        let options = Fixture.options(segmentByteCount: 256 * 1024)
        let store = try Fixture.store(fileSystem, options)
        for number in 0..<400 {
            try store.put(Fixture.key(number), [UInt8(number & 0xFF), UInt8(number >> 8)])
        }
        try store.commit()
        try store.sweep()
        let path = Fixture.indexPath + "-wal"
        let byteCount = try #require(fileSystem.bytes(of: path)).count
        #expect(byteCount > Self.pageByteCount)
        fileSystem.flipBit(of: path, offset: byteCount - 100, bit: 2)
        do throws(IndexError) {
            try store.checkpoint()
            Issue.record("it was copied")
        } catch {
            #expect(error.kind == .damaged)
        }
        #expect(store.storage.index.failure?.kind == .damaged)
        fileSystem.kill()
        try IndexTests.check(fileSystem, "a frame that rots")
    }

    /// Checkpoints, small transactions and restarts of the log raise no false alarm.
    @Test func framesOfAHealthyIndexAreRight() throws {
        let fileSystem = SimulatedFileSystem()
        let index = try SegmentLogTests.open(fileSystem).storage.index
        let keyIDs = IndexTests.keyIDs(3000)
        for round in UInt64(0)..<4 {
            let entries = keyIDs.map { IndexTests.entry($0, version: round) }
            try index.apply(entries, position: IndexTests.position, isFinal: true)
            if round % 2 == 1 { try index.checkpoint() }
            for part in 0..<20 {
                let few = Array(entries[part * 100..<part * 100 + 3])
                try index.apply(few, position: IndexTests.position, isFinal: true)
            }
            #expect(try index.verify() == [])
        }
        #expect(index.failure == nil)
    }

    /// After a failed sync of the database its pages may read as they were: none is shown then.
    @Test(arguments: [false, true])
    func afterAFailedSyncNoOldPageIsShown(isReverting: Bool) throws {
        let fileSystem = SimulatedFileSystem()
        let index = try SegmentLogTests.open(fileSystem).storage.index
        // More than the cache holds.
        let keyIDs = IndexTests.keyIDs(16_000)
        let old = keyIDs.map { IndexTests.entry($0, version: 1) }
        try index.apply(old, position: IndexTests.position, isFinal: true)
        try index.checkpoint()
        let new = keyIDs.map { IndexTests.entry($0, version: 2, offset: 8192) }
        try index.apply(new, position: IndexTests.position, isFinal: true)
        // The first sync is that of the log, the second one that of the database.
        fileSystem.plant(.init(.syncData, index: 1, .fails(EIO), isReverting: isReverting))
        #expect(throws: IndexError.self) { try index.checkpoint() }
        #expect(fileSystem.hasStruck)
        for number in stride(from: 0, to: keyIDs.count, by: 50) {
            let found: IndexEntry?
            do throws(IndexError) {
                found = try index.lookup(keyIDs[number])
            } catch {
                #expect(error.kind == .failed)
                continue
            }
            #expect(found == new[number])
        }
    }
}
