import Glibc

/// What is known of the clock's synchronization.
enum ClockState: Equatable, Sendable {
    /// What the kernel's clock discipline says (adjtimex).
    case kernel(isSynchronized: Bool, errorMaxMicroseconds: Int)
    /// The kernel may not be asked, and systemd-timesyncd says that it has set the clock.
    case timesyncd
    /// The kernel may not be asked, and nobody else tells.
    case hidden

    private typealias Adjust = @convention(c) (UnsafeMutableRawPointer) -> Int32

    /// The size of `struct timex` on 64-bit Linux is 208 bytes.
    private static let wordCount = 32
    /// Word of `maxerror`, in microseconds: `modes`, `offset` and `freq` stand before it.
    private static let errorMaxWord = 3
    /// `TIME_ERROR`: not synchronized.
    private static let notSynchronized: Int32 = 5
    /// systemd-timesyncd makes this file when it has set the clock; it goes with the service.
    private static let timesyncdMark = "/run/systemd/timesync/synchronized"

    /// Asks without changing anything.
    static func read() -> ClockState {
        Self.askKernel() ?? Self.withoutKernel(mark: Self.timesyncdMark)
    }

    /// What is left where the sandbox of the unit (`ProtectClock=yes`) keeps the process from
    /// asking the kernel.
    static func withoutKernel(mark: String) -> ClockState {
        DataDirectory.exists(mark) ? .timesyncd : .hidden
    }

    /// `nil` where the kernel does not answer.
    ///
    /// The header `sys/timex.h` is not part of the Glibc module, so the function is found by name.
    private static func askKernel() -> ClockState? {
        guard MemoryLayout<Int>.size == 8, let symbol = dlsym(nil, "adjtimex") else { return nil }
        let adjust = unsafeBitCast(symbol, to: Adjust.self)
        // All zero: `modes` 0 reads and sets nothing.
        var words = [Int](repeating: 0, count: Self.wordCount)
        let state = words.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { adjust($0) } ?? -1
        }
        guard state >= 0 else { return nil }
        return .kernel(
            isSynchronized: state != Self.notSynchronized,
            errorMaxMicroseconds: words[Self.errorMaxWord]
        )
    }
}
