package import PrustCore

/// What a record's checksum starts from, so that a record is valid at one place only.
///
/// The storage ID, the segment and the offset all enter. A block that the disk put elsewhere is
/// invalid there, and so is a record that a user stored inside a value: nobody can have bytes of
/// his own taken for a record when recovery searches damaged bytes for the next valid one.
package struct RecordSeed: Hashable, Sendable {
    private let prefix: UInt32

    package init(storageID: StorageID, segment: UInt32) {
        var bytes = storageID.identifier.bytes
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: segment >> shift))
        }
        self.prefix = bytes.withUnsafeBytes { Checksum.crc32c($0) }
    }

    fileprivate func checksum(of bytes: UnsafeRawBufferPointer, at offset: UInt32) -> UInt32 {
        var offset = offset.littleEndian
        let start = withUnsafeBytes(of: &offset) { Checksum.crc32c($0, after: self.prefix) }
        return Checksum.crc32c(bytes, after: start)
    }
}

/// Records as bytes: layout, bounds and checksum; see Docs/design/storage-format.md.
///
/// Decoding never traps, whatever the bytes are.
package enum RecordCodec {
    package static let headerByteCount = 64
    package static let alignment = 8
    package static let magic: UInt8 = 0xA7
    package static let byteCountMax =
        Self.headerByteCount + Limits.keyByteCountMax + Limits.valueByteCountMax

    private static let tombstoneFlag: UInt8 = 1
    private static let compressedFlag: UInt8 = 2
    private static let markerFlag: UInt8 = 4

    /// The bytes that a record takes in a segment.
    package static func paddedByteCount(_ byteCount: Int) -> Int {
        (byteCount + Self.alignment - 1) & ~(Self.alignment - 1)
    }

    /// Writes header, checksum and padding around a key and value that are in place already.
    ///
    /// The memory behind `record` must reach to the padded end.
    package static func seal(
        _ record: UnsafeMutableRawPointer,
        header: RecordHeader,
        seed: RecordSeed,
        offset: UInt32
    ) {
        let fields = header.fields
        var flags: UInt8 = fields.isTombstone ? Self.tombstoneFlag : 0
        if header.isCompressed { flags |= Self.compressedFlag }
        if header.isMarker { flags |= Self.markerFlag }
        func store<T: FixedWidthInteger>(_ value: T, _ at: Int) {
            record.storeBytes(of: value.littleEndian, toByteOffset: at, as: T.self)
        }
        store(header.byteCount, 4)
        store(Self.magic, 8)
        store(flags, 9)
        store(UInt16(truncatingIfNeeded: header.keyByteCount), 10)
        store(UInt32(truncatingIfNeeded: header.valueByteCount), 12)
        store(fields.expiresAt, 16)
        store(fields.writtenAt, 24)
        store(fields.version.hlc, 32)
        store(fields.version.term.epoch, 40)
        store(fields.version.term.round, 44)
        store(fields.version.term.index, 48)
        store(fields.version.writer, 52)
        store(fields.version.count, 56)
        store(header.groupOffset, 60)
        let byteCount = Int(header.byteCount)
        let body = UnsafeRawBufferPointer(start: record + 4, count: byteCount - 4)
        store(seed.checksum(of: body, at: offset), 0)
        for padding in byteCount..<Self.paddedByteCount(byteCount) {
            record.storeBytes(of: 0, toByteOffset: padding, as: UInt8.self)
        }
    }

    /// Reads the fixed part and checks all that can be checked without the rest of the record.
    ///
    /// - Parameters:
    ///   - bytes: At least the fixed part.
    ///   - offset: Where in the segment it is.
    /// - Returns: The header; the checksum has not been checked yet.
    /// - Throws: What is wrong first.
    package static func header(
        of bytes: UnsafeRawBufferPointer,
        offset: UInt32
    ) throws(RecordError) -> RecordHeader {
        guard bytes.count >= Self.headerByteCount else { throw .truncated }
        func load<T: FixedWidthInteger>(_ at: Int, as type: T.Type) -> T {
            T(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: type))
        }
        guard bytes[8] == Self.magic else { throw .magic }
        let byteCount = load(4, as: UInt32.self)
        guard byteCount >= Self.headerByteCount, byteCount <= Self.byteCountMax else {
            throw .length
        }
        let term = Ballot(
            epoch: load(40, as: UInt32.self),
            round: load(44, as: UInt32.self),
            index: load(48, as: UInt32.self)
        )
        let version = Version(
            term: term,
            hlc: load(32, as: UInt64.self),
            writer: load(52, as: UInt32.self),
            count: load(56, as: UInt32.self)
        )
        let flags = bytes[9]
        let keyByteCount = Int(load(10, as: UInt16.self))
        guard keyByteCount <= Limits.keyByteCountMax else { throw .keyLength }
        let storedByteCount = Int(byteCount) - Self.headerByteCount - keyByteCount
        guard storedByteCount >= 0 else { throw .keyLength }
        let valueByteCount = load(12, as: UInt32.self)
        guard valueByteCount <= Limits.valueByteCountMax else { throw .valueLength }
        let header = RecordHeader(
            fields: RecordFields(
                version: version,
                expiresAt: load(16, as: Int64.self),
                writtenAt: load(24, as: UInt64.self),
                isTombstone: flags & Self.tombstoneFlag != 0
            ),
            byteCount: byteCount,
            keyByteCount: keyByteCount,
            storedByteCount: storedByteCount,
            valueByteCount: Int(valueByteCount),
            isCompressed: flags & Self.compressedFlag != 0,
            isMarker: flags & Self.markerFlag != 0,
            groupOffset: load(60, as: UInt32.self)
        )
        try Self.check(header, flags: flags, offset: offset)
        return header
    }

    private static func check(
        _ header: RecordHeader,
        flags: UInt8,
        offset: UInt32
    ) throws(RecordError) {
        switch flags {
        case 0:
            guard header.storedByteCount == header.valueByteCount else { throw .valueLength }
        case Self.compressedFlag:
            guard header.storedByteCount > 0, header.storedByteCount < header.valueByteCount
            else { throw .valueLength }
        case Self.tombstoneFlag:
            guard header.storedByteCount == 0, header.valueByteCount == 0 else {
                throw .valueLength
            }
        case Self.markerFlag:
            guard header.byteCount == Self.headerByteCount, header.valueByteCount == 0 else {
                throw .length
            }
        default:
            throw .flags
        }
        guard header.groupOffset >= SegmentHeader.byteCount, header.groupOffset <= offset,
            header.groupOffset % UInt32(Self.alignment) == 0
        else { throw .group }
    }

    /// Checks a whole record.
    ///
    /// - Parameters:
    ///   - bytes: The record; bytes after its end do not matter.
    ///   - offset: Where in the segment it is.
    ///   - seed: The segment's seed.
    /// - Returns: The header.
    /// - Throws: What is wrong first.
    package static func decode(
        _ bytes: UnsafeRawBufferPointer,
        offset: UInt32,
        seed: RecordSeed
    ) throws(RecordError) -> RecordHeader {
        let header = try Self.header(of: bytes, offset: offset)
        let byteCount = Int(header.byteCount)
        guard bytes.count >= byteCount else { throw .truncated }
        let stored = UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self))
        let body = UnsafeRawBufferPointer(rebasing: bytes[4..<byteCount])
        guard seed.checksum(of: body, at: offset) == stored else { throw .checksum }
        return header
    }

    /// The key in a record whose header is known to be right.
    package static func key(
        in bytes: UnsafeRawBufferPointer,
        _ header: RecordHeader
    ) -> UnsafeRawBufferPointer {
        let start = Self.headerByteCount
        return UnsafeRawBufferPointer(rebasing: bytes[start..<start + header.keyByteCount])
    }

    /// The value, as it is stored, in a record whose header is known to be right.
    package static func storedValue(
        in bytes: UnsafeRawBufferPointer,
        _ header: RecordHeader
    ) -> UnsafeRawBufferPointer {
        let start = Self.headerByteCount + header.keyByteCount
        return UnsafeRawBufferPointer(rebasing: bytes[start..<start + header.storedByteCount])
    }
}
