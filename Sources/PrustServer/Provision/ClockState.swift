import Glibc

/// What the kernel's clock discipline knows (adjtimex).
struct ClockState: Equatable, Sendable {
    var isSynchronized: Bool
    var errorMaxMicroseconds: Int

    private typealias Adjust = @convention(c) (UnsafeMutableRawPointer) -> Int32

    /// The size of `struct timex` on 64-bit Linux is 208 bytes.
    private static let wordCount = 32
    /// Word of `maxerror`, in microseconds: `modes`, `offset` and `freq` stand before it.
    private static let errorMaxWord = 3
    /// `TIME_ERROR`: not synchronized.
    private static let notSynchronized: Int32 = 5

    /// Asks the kernel without changing anything; `nil` where it does not answer.
    ///
    /// The header `sys/timex.h` is not part of the Glibc module, so the function is found by name.
    static func read() -> ClockState? {
        guard MemoryLayout<Int>.size == 8, let symbol = dlsym(nil, "adjtimex") else { return nil }
        let adjust = unsafeBitCast(symbol, to: Adjust.self)
        // All zero: `modes` 0 reads and sets nothing.
        var words = [Int](repeating: 0, count: Self.wordCount)
        let state = words.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { adjust($0) } ?? -1
        }
        guard state >= 0 else { return nil }
        return ClockState(
            isSynchronized: state != Self.notSynchronized,
            errorMaxMicroseconds: words[Self.errorMaxWord]
        )
    }
}
