/// Where a key lives in the key space: SHA-256 of its bytes.
///
/// Computed at the edge, never here: pure code knows no hash functions.
package struct KeyID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var identifier: Identifier256

    package static let first = Self(.zero)
    package static let last = Self(.max)

    @inlinable
    package init(_ identifier: Identifier256) {
        self.identifier = identifier
    }

    /// Reads the 32 bytes of a digest.
    ///
    /// - Parameter bytes: The digest; `nil` comes back unless there are exactly 32 bytes.
    package init?(bytes: some Collection<UInt8>) {
        guard let identifier = Identifier256(bytes: bytes) else { return nil }
        self.identifier = identifier
    }

    @inlinable
    package static func < (left: Self, right: Self) -> Bool {
        left.identifier < right.identifier
    }

    /// The partition that holds this key: the top `bitCount` bits (P of the cluster, 0 to 20).
    @inlinable
    package func partition(bitCount: Int) -> Int {
        bitCount == 0 ? 0 : Int(truncatingIfNeeded: self.identifier.word0 >> UInt64(64 - bitCount))
    }

    package var description: String { self.identifier.description }
}
