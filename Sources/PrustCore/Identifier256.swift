/// 256 bits, ordered as an unsigned big-endian number: the space in which keys and nodes live.
package struct Identifier256: Hashable, Sendable {
    /// The bits 0 to 63, most significant first.
    package var word0: UInt64
    package var word1: UInt64
    package var word2: UInt64
    package var word3: UInt64

    package static let byteCount = 32
    package static let zero = Self(word0: 0, word1: 0, word2: 0, word3: 0)
    package static let max = Self(word0: .max, word1: .max, word2: .max, word3: .max)

    @inlinable
    package init(word0: UInt64, word1: UInt64, word2: UInt64, word3: UInt64) {
        self.word0 = word0
        self.word1 = word1
        self.word2 = word2
        self.word3 = word3
    }

    /// Reads 32 bytes, most significant first.
    ///
    /// - Parameter bytes: The bytes; `nil` comes back unless there are exactly 32 of them.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        for (index, byte) in bytes.enumerated() {
            let value = UInt64(byte)
            switch index / 8 {
            case 0: words.0 = words.0 << 8 | value
            case 1: words.1 = words.1 << 8 | value
            case 2: words.2 = words.2 << 8 | value
            default: words.3 = words.3 << 8 | value
            }
        }
        self.init(word0: words.0, word1: words.1, word2: words.2, word3: words.3)
    }

    /// The 32 bytes, most significant first.
    package var bytes: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(Self.byteCount)
        for word in [self.word0, self.word1, self.word2, self.word3] {
            for shift in stride(from: UInt64(56), through: 0, by: -8) {
                result.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        return result
    }
}

extension Identifier256: Comparable {
    @inlinable
    package static func < (left: Self, right: Self) -> Bool {
        if left.word0 != right.word0 { return left.word0 < right.word0 }
        if left.word1 != right.word1 { return left.word1 < right.word1 }
        if left.word2 != right.word2 { return left.word2 < right.word2 }
        return left.word3 < right.word3
    }
}

extension Identifier256: CustomStringConvertible {
    /// 64 lower-case hexadecimal digits.
    package var description: String {
        Hex.encode(self.bytes)
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// - Parameter hex: The digits; `nil` comes back when they are not exactly 64 such digits.
    package init?(hex: some StringProtocol) {
        guard let bytes = Hex.decode(hex) else { return nil }
        self.init(bytes: bytes)
    }
}
