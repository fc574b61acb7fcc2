/// Walks through the records of a segment from a file of any contents, and finds the next valid
/// record behind bytes that are none.
///
/// Blocks that the disk cannot read are bytes that are none.
struct SegmentScanner {
    enum Event {
        /// A valid record; its bytes are valid until the next call.
        case record(RecordHeader, offset: UInt32, bytes: UnsafeRawBufferPointer)
        /// Bytes that are no record. All those after `usedByteCount` are zero.
        case damage(offset: UInt32, byteCount: UInt64, usedByteCount: UInt64)
        case end
    }

    /// Bytes that may be checksummed in vain while searching.
    ///
    /// A hostile value full of headers that
    /// claim 16 MiB each would otherwise keep recovery busy for hours.
    private static let vainByteCountMax: UInt64 = 1024 * 1024 * 1024
    private static let vainRecordByteCountMax = 4096
    private static let chunkByteCount = 64 * 1024

    private let window: ScanWindow
    private let seed: RecordSeed
    let limit: UInt64
    private var position: UInt64
    private var vainByteCount: UInt64 = 0

    /// Prepares to read the records from an offset to a limit.
    ///
    /// - Parameters:
    ///   - file: The segment.
    ///   - seed: The segment's seed.
    ///   - start: Where a record begins.
    ///   - limit: Where the records end; at most the length of the file.
    init(file: any File, seed: RecordSeed, from start: UInt64, limit: UInt64) {
        self.window = ScanWindow(file: file, limit: limit)
        self.seed = seed
        self.limit = limit
        self.position = start
    }

    /// Whether the disk could not read some of the bytes of a range that was walked through.
    func isUnreadable(_ range: Range<UInt64>) -> Bool {
        self.window.isUnreadable(range)
    }

    mutating func next() throws(FileError) -> Event {
        guard self.position < self.limit else { return .end }
        if let header = try self.record(isSearching: false) { return try self.take(header) }
        let start = self.position
        var usedEnd = start
        repeat {
            let chunk = try self.window.bytes(at: self.position, byteCount: Self.chunkByteCount)
            guard !chunk.isEmpty else { break }
            let step = Self.skip(chunk)
            if let used = step.usedByteCount { usedEnd = self.position + UInt64(used) }
            self.position += UInt64(step.byteCount)
            guard self.position < self.limit else { break }
        } while try self.record(isSearching: true) == nil
        return .damage(
            offset: UInt32(clamping: start),
            byteCount: self.position - start,
            usedByteCount: usedEnd - start
        )
    }

    /// Skips to the next place in a chunk that has a record's magic where it belongs, or to where
    /// the chunk is too short to tell.
    private static func skip(
        _ chunk: UnsafeRawBufferPointer
    ) -> (byteCount: Int, usedByteCount: Int?) {
        let alignment = RecordCodec.alignment
        var usedByteCount: Int?
        var index = 0
        repeat {
            let end = min(index + alignment, chunk.count)
            let isZero =
                end - index == alignment
                ? chunk.loadUnaligned(fromByteOffset: index, as: UInt64.self) == 0
                : chunk[index..<end].allSatisfy { $0 == 0 }
            if !isZero { usedByteCount = end }
            index = end
        } while index + alignment < chunk.count && chunk[index + alignment] != RecordCodec.magic
        return (index, usedByteCount)
    }

    private mutating func take(_ header: RecordHeader) throws(FileError) -> Event {
        let offset = UInt32(clamping: self.position)
        let bytes = try self.window.bytes(at: self.position, byteCount: Int(header.byteCount))
        self.position += UInt64(RecordCodec.paddedByteCount(Int(header.byteCount)))
        return .record(header, offset: offset, bytes: bytes)
    }

    /// The header of the record at the position, if there is a valid one.
    private mutating func record(isSearching: Bool) throws(FileError) -> RecordHeader? {
        guard self.position <= UInt64(UInt32.max) else { return nil }
        let offset = UInt32(clamping: self.position)
        let start = try self.window.bytes(
            at: self.position,
            byteCount: RecordCodec.headerByteCount
        )
        guard start.count >= RecordCodec.headerByteCount, start[8] == RecordCodec.magic else {
            return nil
        }
        guard let header = try? RecordCodec.header(of: start, offset: offset) else { return nil }
        let byteCount = Int(header.byteCount)
        guard UInt64(byteCount) <= self.limit - self.position else { return nil }
        if isSearching, byteCount > Self.vainRecordByteCountMax {
            guard self.vainByteCount < Self.vainByteCountMax else { return nil }
            self.vainByteCount += UInt64(byteCount)
        }
        let bytes = try self.window.bytes(at: self.position, byteCount: byteCount)
        return try? RecordCodec.decode(bytes, offset: offset, seed: self.seed)
    }
}

/// A piece of a file in memory.
private final class ScanWindow {
    private static let byteCount = 1024 * 1024
    private static let blockByteCount: UInt64 = 4096
    /// Blocks that may be unreadable.
    ///
    /// More of them, or several and nothing else in one piece of the file, are not bad sectors but
    /// a device that has failed. It may come back, and what it holds must not be taken for lost.
    private static let unreadableCountMax = 128
    /// Stands where nothing could be read: neither zeros nor the magic of a record.
    private static let filler: UInt8 = 0xFF

    private let file: any File
    private let limit: UInt64
    /// Where the blocks begin that cannot be read.
    private var unreadable: [UInt64] = []
    private var memory: UnsafeMutableRawBufferPointer
    private var start: UInt64 = 0
    private var count = 0

    init(file: any File, limit: UInt64) {
        self.file = file
        self.limit = limit
        self.memory = .allocate(byteCount: 64 * 1024, alignment: 16)
    }

    deinit {
        self.memory.deallocate()
    }

    /// The bytes at an offset, fewer at the limit; valid until the next call.
    func bytes(at offset: UInt64, byteCount: Int) throws(FileError) -> UnsafeRawBufferPointer {
        let wanted = offset < self.limit ? Int(min(UInt64(byteCount), self.limit - offset)) : 0
        if offset < self.start || offset + UInt64(wanted) > self.start + UInt64(self.count) {
            try self.load(at: offset, byteCount: wanted)
        }
        let skipped = Int(offset - self.start)
        let available = max(0, min(wanted, self.count - skipped))
        return UnsafeRawBufferPointer(
            rebasing: UnsafeRawBufferPointer(self.memory)[skipped..<skipped + available]
        )
    }

    private func load(at offset: UInt64, byteCount: Int) throws(FileError) {
        let wanted = Int(min(UInt64(max(byteCount, Self.byteCount)), self.limit - offset))
        if wanted > self.memory.count {
            self.memory.deallocate()
            self.memory = .allocate(byteCount: wanted, alignment: 16)
        }
        self.start = offset
        self.count = 0
        let target = UnsafeMutableRawBufferPointer(rebasing: self.memory[..<wanted])
        self.count = try self.read(into: target, at: offset)
    }

    func isUnreadable(_ range: Range<UInt64>) -> Bool {
        self.unreadable.contains { block in
            block < range.upperBound && range.lowerBound < block + Self.blockByteCount
        }
    }

    /// Reads at once, or block by block where the disk fails.
    private func read(
        into target: UnsafeMutableRawBufferPointer,
        at offset: UInt64
    ) throws(FileError) -> Int {
        if !self.isUnreadable(offset..<offset + UInt64(target.count)) {
            do throws(FileError) {
                return try self.file.read(into: target, at: offset)
            } catch {
                guard error.isDiskFailure else { throw error }
            }
        }
        var done = 0
        var goodCount = 0
        var failures: [FileError] = []
        while done < target.count {
            let position = offset + UInt64(done)
            let blockEnd = position - position % Self.blockByteCount + Self.blockByteCount
            let count = min(target.count - done, Int(blockEnd - position))
            let piece = UnsafeMutableRawBufferPointer(rebasing: target[done..<done + count])
            if let readCount = try self.readBlock(into: piece, at: position, &failures) {
                goodCount += 1
                done += readCount
                if readCount < count { break }
            } else {
                piece.initializeMemory(as: UInt8.self, repeating: Self.filler)
                done += count
            }
        }
        if let failure = failures.first, goodCount == 0, failures.count > 1 { throw failure }
        return done
    }

    /// Reads bytes of one block; `nil` if the disk cannot.
    private func readBlock(
        into target: UnsafeMutableRawBufferPointer,
        at offset: UInt64,
        _ failures: inout [FileError]
    ) throws(FileError) -> Int? {
        if self.isUnreadable(offset..<offset + UInt64(target.count)) { return nil }
        do throws(FileError) {
            return try self.file.read(into: target, at: offset)
        } catch {
            guard error.isDiskFailure, self.unreadable.count < Self.unreadableCountMax else {
                throw error
            }
            failures.append(error)
            self.unreadable.append(offset - offset % Self.blockByteCount)
            return nil
        }
    }
}
