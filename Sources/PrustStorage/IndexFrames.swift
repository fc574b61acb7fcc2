/// The checksums of the pages in SQLite's write-ahead log, kept in memory.
///
/// SQLite checks its own checksums when it reads the log at the start, and never again. A frame
/// that rots afterwards would be served, and copied into the database as if it were right. So a
/// page is compared with what was written, or with what SQLite read and checked at the start.
///
/// The layout is SQLite's: 32 bytes, then frames of 24 bytes and a page each. SQLite writes the two
/// parts of a frame apart, writes pages over in place, and uses the frames again from the first one
/// on. Pages that are only written or read in part are not known, and not checked.
package struct IndexFrames {
    private static let logHeaderByteCount: UInt64 = 32
    private static let frameHeaderByteCount = 24
    private static let frameByteCount = UInt64(Self.frameHeaderByteCount + IndexPage.byteCount)

    /// Frames that are looked after; the log is emptied long before there are so many.
    private let countMax: Int
    /// By number of the frame; `nil` for those that are not known.
    private var checksums: [UInt32?] = []

    package init(countMax: Int = 65_536) {
        self.countMax = countMax
    }

    /// Forgets the pages that a write may change; it may fail half way.
    package mutating func willWrite(_ byteCount: Int, at offset: UInt64) {
        var index = Self.index(offset)
        let end = offset + UInt64(byteCount)
        while index < self.checksums.count, Self.pageOffset(index) < end {
            self.checksums[index] = nil
            index += 1
        }
    }

    /// Takes down the page that was written.
    package mutating func didWrite(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
        guard let (index, page) = Self.page(in: bytes, at: offset) else { return }
        self.set(index, Checksum.crc32c(page))
    }

    package mutating func truncate(to byteCount: UInt64) {
        let kept = Self.index(byteCount)
        if kept < self.checksums.count { self.checksums.removeLast(self.checksums.count - kept) }
    }

    /// Whether a page that was read is the one that was written.
    ///
    /// A page that is not known yet is taken down: SQLite is reading the log at the start.
    package mutating func check(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Bool {
        guard let (index, page) = Self.page(in: bytes, at: offset) else { return true }
        let checksum = Checksum.crc32c(page)
        if index < self.checksums.count, let known = self.checksums[index] {
            return known == checksum
        }
        self.set(index, checksum)
        return true
    }

    private mutating func set(_ index: Int, _ checksum: UInt32) {
        guard index < self.countMax else { return }
        while self.checksums.count <= index { self.checksums.append(nil) }
        self.checksums[index] = checksum
    }

    /// The frame that holds an offset, header included.
    private static func index(_ offset: UInt64) -> Int {
        guard offset > Self.logHeaderByteCount else { return 0 }
        return Int(clamping: (offset - Self.logHeaderByteCount) / Self.frameByteCount)
    }

    private static func pageOffset(_ index: Int) -> UInt64 {
        Self.logHeaderByteCount + UInt64(index) * Self.frameByteCount
            + UInt64(Self.frameHeaderByteCount)
    }

    /// The page in bytes that are exactly a page or a whole frame.
    private static func page(
        in bytes: UnsafeRawBufferPointer,
        at offset: UInt64
    ) -> (index: Int, page: UnsafeRawBufferPointer)? {
        let index = Self.index(offset)
        let pageOffset = Self.pageOffset(index)
        if offset == pageOffset, bytes.count == IndexPage.byteCount { return (index, bytes) }
        guard offset + UInt64(Self.frameHeaderByteCount) == pageOffset,
            bytes.count == Int(Self.frameByteCount)
        else { return nil }
        return (index, UnsafeRawBufferPointer(rebasing: bytes[Self.frameHeaderByteCount...]))
    }
}
