package import PrustCore

/// What a client writes to a key: a value, or nothing at all.
package struct Content: Hashable, Sendable {
    /// `nil` deletes.
    package var value: [UInt8]?
    /// Milliseconds since 1970, 0 for never.
    package var expiresAt: Int64

    package static let tombstone = Self(value: nil)

    package init(value: [UInt8]?, expiresAt: Int64 = 0) {
        self.value = value
        self.expiresAt = expiresAt
    }

    /// Whether a reader finds a value at a moment (protocol rule 35).
    package func isLive(at wall: WallTime) -> Bool {
        self.value != nil && (self.expiresAt == 0 || self.expiresAt > wall.milliseconds)
    }
}

/// What a member holds of one key.
///
/// One (key, version) is bound to one content for ever (rule 5).
package struct Register: Hashable, Sendable {
    package var version: Version
    package var content: Content
    /// Hybrid time at which this record was written, for backup cuts and people (rule 5).
    package var writtenAt: UInt64

    /// A key that was never written.
    package static let none = Self(version: .zero, content: .tombstone, writtenAt: 0)

    package init(version: Version, content: Content, writtenAt: UInt64) {
        self.version = version
        self.content = content
        self.writtenAt = writtenAt
    }

    package var isNone: Bool { self.version == .zero }
}

/// A read-modify-write: what it makes of a key, computed at the primary only.
package protocol RegisterFunction: Hashable, Sendable {
    associatedtype Answer: Hashable, Sendable

    /// Computes the new content and the answer.
    ///
    /// - Parameters:
    ///   - base: What the key holds; expired counts as absent.
    ///   - wall: The primary's wall clock.
    /// - Returns: What to write, `nil` for a function that writes nothing here, such as a
    ///   comparison that failed; and what the client gets.
    func apply(to base: Content, at wall: WallTime) -> (write: Content?, answer: Answer)
}
