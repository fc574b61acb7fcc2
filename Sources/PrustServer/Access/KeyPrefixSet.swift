/// Beginnings of keys, searched without allocation.
///
/// Invariant: sorted, and no prefix begins with another one of the set; so only the last prefix
/// that is not above a key can be one of its beginnings.
package struct KeyPrefixSet: Equatable, Sendable {
    /// All prefixes, one after the other.
    private let bytes: [UInt8]
    /// Where each begins; one more at the end.
    private let offsets: [Int]

    /// Takes prefixes in any order; those that another one covers are dropped.
    package init(_ prefixes: some Sequence<[UInt8]>) {
        var kept: [[UInt8]] = []
        for prefix in prefixes.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            if let last = kept.last, prefix.starts(with: last) { continue }
            kept.append(prefix)
        }
        var offsets = [0]
        for prefix in kept { offsets.append((offsets.last ?? 0) + prefix.count) }
        self.bytes = kept.flatMap(\.self)
        self.offsets = offsets
    }

    package var count: Int { self.offsets.count - 1 }

    /// Whether one of the prefixes begins the key.
    package func contains(beginningOf key: UnsafeRawBufferPointer) -> Bool {
        var low = 0
        var high = self.count
        return self.bytes.withUnsafeBytes { bytes in
            while low < high {
                let middle = (low + high) / 2
                let prefix = UnsafeRawBufferPointer(
                    rebasing: bytes[self.offsets[middle]..<self.offsets[middle + 1]]
                )
                switch Self.compare(prefix, key) {
                case .begins: return true
                case .isBelow: low = middle + 1
                case .isAbove: high = middle
                }
            }
            return false
        }
    }

    private enum Order {
        case begins
        case isBelow
        case isAbove
    }

    private static func compare(
        _ prefix: UnsafeRawBufferPointer,
        _ key: UnsafeRawBufferPointer
    ) -> Order {
        let shared = min(prefix.count, key.count)
        for index in 0..<shared where prefix[index] != key[index] {
            return prefix[index] < key[index] ? .isBelow : .isAbove
        }
        return shared == prefix.count ? .begins : .isAbove
    }
}
