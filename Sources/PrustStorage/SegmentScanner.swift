/// Walks through the records of a segment from a file of any contents, and finds the next valid
/// record behind bytes that are none.
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

    private let file: any File
    private let limit: UInt64
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
        self.count = try self.file.read(into: target, at: offset)
    }
}
