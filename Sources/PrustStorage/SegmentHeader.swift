package import PrustCore

/// The first block of a segment: who it belongs to, and how long the segment before it is.
package struct SegmentHeader: Hashable, Sendable {
    package static let byteCount: UInt32 = 4096
    package static let formatVersion: UInt32 = 1
    private static let magic = Array("PRUSTSEG".utf8)
    private static let checksumOffset = Int(Self.byteCount) - 4

    package var segment: UInt32
    package var storageID: StorageID
    /// Where the records of the segment before end; 0 in the first segment.
    package var previousByteCount: UInt64
    /// Milliseconds since 1970.
    package var createdAt: Int64

    package enum DecodeError: Error, Hashable, Sendable {
        case damaged
        case newerFormat(UInt32)
    }

    package init(
        segment: UInt32,
        storageID: StorageID,
        previousByteCount: UInt64,
        createdAt: Int64
    ) {
        self.segment = segment
        self.storageID = storageID
        self.previousByteCount = previousByteCount
        self.createdAt = createdAt
    }

    package func encoded() -> [UInt8] {
        var bytes = Self.magic
        bytes.reserveCapacity(Int(Self.byteCount))
        bytes.append(littleEndian: Self.formatVersion)
        bytes.append(littleEndian: self.segment)
        bytes.append(contentsOf: self.storageID.identifier.bytes)
        bytes.append(littleEndian: self.previousByteCount)
        bytes.append(littleEndian: self.createdAt)
        bytes += [UInt8](repeating: 0, count: Self.checksumOffset - bytes.count)
        let checksum = bytes.withUnsafeBytes { Checksum.crc32c($0) }
        bytes.append(littleEndian: checksum)
        return bytes
    }

    package init(decoding bytes: UnsafeRawBufferPointer) throws(DecodeError) {
        guard bytes.count >= Int(Self.byteCount) else { throw .damaged }
        func load<T: FixedWidthInteger>(_ at: Int, as type: T.Type) -> T {
            T(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: type))
        }
        let checksum = Checksum.crc32c(
            UnsafeRawBufferPointer(rebasing: bytes[..<Self.checksumOffset])
        )
        guard load(Self.checksumOffset, as: UInt32.self) == checksum,
            bytes[0..<8].elementsEqual(Self.magic)
        else { throw .damaged }
        let version = load(8, as: UInt32.self)
        guard version <= Self.formatVersion else { throw .newerFormat(version) }
        guard let identifier = Identifier256(bytes: bytes[16..<48]) else { throw .damaged }
        self.init(
            segment: load(12, as: UInt32.self),
            storageID: StorageID(identifier),
            previousByteCount: load(48, as: UInt64.self),
            createdAt: load(56, as: Int64.self)
        )
    }
}

extension [UInt8] {
    mutating func append(littleEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { self.append(contentsOf: $0) }
    }
}
