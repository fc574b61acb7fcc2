/// The checksum in the last bytes of each page of the index, which SQLite leaves free for us.
///
/// SQLite has no checksums of its own on pages, and a wrong page could make a key disappear
/// without an error. With them a damaged index is found out when the page is read.
enum IndexPage {
    static let byteCount = 8192
    /// Bytes at the end of each page that belong to the checksum.
    static let reservedByteCount = 8

    private static func checksum(_ page: UnsafeRawBufferPointer, at offset: UInt64) -> UInt64 {
        var offset = offset.littleEndian
        let start = withUnsafeBytes(of: &offset) { Checksum.crc32c($0) }
        let body = UnsafeRawBufferPointer(rebasing: page.dropLast(Self.reservedByteCount))
        // The upper half is fixed, so that a page of zeros is never valid.
        return UInt64(Checksum.crc32c(body, after: start)) | 0x5052_5553 << 32
    }

    static func seal(_ page: UnsafeMutableRawBufferPointer, at offset: UInt64) {
        let checksum = Self.checksum(UnsafeRawBufferPointer(page), at: offset)
        page.storeBytes(
            of: checksum.littleEndian,
            toByteOffset: page.count - Self.reservedByteCount,
            as: UInt64.self
        )
    }

    static func isValid(_ page: UnsafeRawBufferPointer, at offset: UInt64) -> Bool {
        let stored = page.loadUnaligned(
            fromByteOffset: page.count - Self.reservedByteCount,
            as: UInt64.self
        )
        return UInt64(littleEndian: stored) == Self.checksum(page, at: offset)
    }
}
