package import PrustCore

/// Where a record is: for ever, since sealed segments never change.
package struct Location: Hashable, Sendable {
    package var segment: UInt32
    package var offset: UInt32
    /// Bytes of the record without the padding behind it.
    package var byteCount: UInt32

    package init(segment: UInt32, offset: UInt32, byteCount: UInt32) {
        self.segment = segment
        self.offset = offset
        self.byteCount = byteCount
    }

    package var position: LogPosition {
        LogPosition(segment: self.segment, offset: self.offset)
    }
}

/// A place in the log; all records before it are meant.
package struct LogPosition: Hashable, Comparable, Sendable {
    package var segment: UInt32
    package var offset: UInt32

    package static let start = Self(segment: 0, offset: 0)

    package init(segment: UInt32, offset: UInt32) {
        self.segment = segment
        self.offset = offset
    }

    @inlinable
    package static func < (left: Self, right: Self) -> Bool {
        if left.segment != right.segment { return left.segment < right.segment }
        return left.offset < right.offset
    }
}

/// What the index knows of a key: where its newest record is, and enough to answer without it.
package struct IndexEntry: Hashable, Sendable {
    package var keyID: KeyID
    package var location: Location
    package var version: Version
    /// Milliseconds since 1970, 0 for never.
    package var expiresAt: Int64
    package var isTombstone: Bool

    package init(
        keyID: KeyID,
        location: Location,
        version: Version,
        expiresAt: Int64,
        isTombstone: Bool
    ) {
        self.keyID = keyID
        self.location = location
        self.version = version
        self.expiresAt = expiresAt
        self.isTombstone = isTombstone
    }
}
