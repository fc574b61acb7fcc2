import NIOCore
import PrustCore

/// The value of one write of the durability check: it can be told from every other write's.
///
/// The key's number, the write's number and the length stand at its head, and the rest follows from
/// them and the seed; so every changed byte is seen.
struct JournalValue: Sendable {
    private static let headByteCount = 16

    let seed: UInt64
    let sizes: ClosedRange<Int>

    func write(key: Int, write: UInt64, into buffer: inout ByteBuffer) {
        var random = self.random(key: key, write: write)
        let byteCount = self.byteCount(using: &random)
        buffer.writeInteger(UInt64(key))
        buffer.writeInteger(write)
        var rest = byteCount - Self.headByteCount
        while rest >= 8 {
            buffer.writeInteger(random.next())
            rest -= 8
        }
        for _ in 0..<max(0, rest) { buffer.writeInteger(UInt8(truncatingIfNeeded: random.next())) }
    }

    /// The number of the write whose value this is, if it is one of the key's.
    func writeNumber(key: Int, of value: ByteBuffer) -> UInt64? {
        var head = value
        guard let (number, write) = head.readMultipleIntegers(as: (UInt64, UInt64).self),
            number == UInt64(key), write > 0
        else { return nil }
        var expected = ByteBuffer()
        expected.reserveCapacity(value.readableBytes)
        self.write(key: key, write: write, into: &expected)
        return expected == value ? write : nil
    }

    private func random(key: Int, write: UInt64) -> SeededRandom {
        SeededRandom(seed: self.seed ^ UInt64(key) &* 0x9E37_79B9_7F4A_7C15 ^ write << 1)
    }

    private func byteCount(using random: inout SeededRandom) -> Int {
        let spread = self.sizes.upperBound - self.sizes.lowerBound + 1
        let size = self.sizes.lowerBound + KeyPicker.uniform(spread, using: &random)
        return max(size, Self.headByteCount)
    }
}
