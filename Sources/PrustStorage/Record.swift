package import PrustCore

/// What a writer says about a record besides its key and value.
package struct RecordFields: Hashable, Sendable {
    package var version: Version
    /// Milliseconds since 1970, 0 for never.
    package var expiresAt: Int64
    /// When this node wrote it, as a hybrid logical time.
    package var writtenAt: UInt64
    package var isTombstone: Bool

    package init(
        version: Version,
        expiresAt: Int64 = 0,
        writtenAt: UInt64,
        isTombstone: Bool = false
    ) {
        self.version = version
        self.expiresAt = expiresAt
        self.writtenAt = writtenAt
        self.isTombstone = isTombstone
    }
}

/// The fixed part of a record, decoded and checked.
package struct RecordHeader: Hashable, Sendable {
    package var fields: RecordFields
    /// Bytes of the record without padding.
    package var byteCount: UInt32
    package var keyByteCount: Int
    /// Bytes of the value as they stand in the record.
    package var storedByteCount: Int
    /// Bytes of the value as the user gave it.
    package var valueByteCount: Int
    package var isCompressed: Bool
    /// A marker holds nothing: it only proves that the groups before it were made durable.
    package var isMarker: Bool
    /// Where in the segment the first record of its group is.
    package var groupOffset: UInt32

    package init(
        fields: RecordFields,
        byteCount: UInt32,
        keyByteCount: Int,
        storedByteCount: Int,
        valueByteCount: Int,
        isCompressed: Bool,
        isMarker: Bool,
        groupOffset: UInt32
    ) {
        self.fields = fields
        self.byteCount = byteCount
        self.keyByteCount = keyByteCount
        self.storedByteCount = storedByteCount
        self.valueByteCount = valueByteCount
        self.isCompressed = isCompressed
        self.isMarker = isMarker
        self.groupOffset = groupOffset
    }
}

/// Why bytes are not a record.
package enum RecordError: Error, Hashable, Sendable {
    case truncated
    case magic
    case flags
    case length
    case keyLength
    case valueLength
    case group
    case checksum
    case decompression
    /// The record is valid, but of another key than the one asked for.
    case wrongKey
}
