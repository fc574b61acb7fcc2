/// Reads values off the front of an input; at its end everything is zero and empty.
struct FuzzInput {
    private var bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    var isEmpty: Bool { self.position >= self.bytes.count }

    mutating func byte() -> UInt8 {
        guard self.position < self.bytes.count else { return 0 }
        defer { self.position += 1 }
        return self.bytes[self.position]
    }

    mutating func short() -> UInt16 { self.number(2) }
    mutating func word() -> UInt32 { self.number(4) }
    mutating func long() -> UInt64 { self.number(8) }

    private mutating func number<T: FixedWidthInteger>(_ byteCount: Int) -> T {
        var result: T = 0
        for index in 0..<byteCount { result |= T(self.byte()) << T(index * 8) }
        return result
    }

    /// At most `count` of the bytes that are left.
    mutating func take(_ count: Int) -> [UInt8] {
        let end = min(self.bytes.count, self.position + max(0, count))
        defer { self.position = end }
        return Array(self.bytes[self.position..<end])
    }

    mutating func rest() -> [UInt8] { self.take(self.bytes.count) }
}

/// Gives `body` a copy that fills its memory exactly, so that AddressSanitizer sees every access
/// beyond either end.
func withExactCopy<Result>(
    _ bytes: some Collection<UInt8>,
    _ body: (UnsafeMutableRawBufferPointer) throws -> Result
) rethrows -> Result {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    return try body(copy)
}
