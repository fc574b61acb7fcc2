import NIOCore
import PrustCore

/// Values to write: slices of pseudo-random bytes of which a part repeats, always the same for a
/// seed.
struct ValuePool: Sendable {
    private static let chunkByteCount = 64

    private let bytes: ByteBuffer
    private let sizes: ClosedRange<Int>

    /// A pool of values.
    ///
    /// - Parameters:
    ///   - sizes: Bytes of a value.
    ///   - compressibility: Part of each value that repeats, 0 to 1.
    ///   - seed: Values are the same for the same seed.
    init(sizes: ClosedRange<Int>, compressibility: Double, seed: UInt64) {
        self.sizes = sizes
        var random = SeededRandom(seed: seed)
        let fixedCount = Int(Double(Self.chunkByteCount) * min(max(compressibility, 0), 1))
        let byteCount = max(sizes.upperBound * 2, 1024 * 1024)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        var word: UInt64 = 0
        for index in 0..<byteCount {
            if index % 8 == 0 { word = random.next() }
            let isFixed = index % Self.chunkByteCount < fixedCount
            bytes.append(isFixed ? UInt8(ascii: "p") : UInt8(truncatingIfNeeded: word))
            word >>= 8
        }
        self.bytes = ByteBuffer(bytes: bytes)
    }

    func next(using random: inout SeededRandom) -> ByteBuffer {
        let spread = self.sizes.count
        let size =
            spread == 1
            ? self.sizes.lowerBound
            : self.sizes.lowerBound + KeyPicker.uniform(spread, using: &random)
        let room = self.bytes.readableBytes - size
        let offset = KeyPicker.uniform(room + 1, using: &random)
        return self.bytes.getSlice(at: offset, length: size) ?? ByteBuffer()
    }
}
