private import Glibc

/// The system's words for its error numbers.
enum ErrnoText {
    static func describe(_ code: Int32) -> String {
        // The buffer is ours, unlike that of strerror, which threads share.
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            buffer.initialize(repeating: 0)
            guard let base = buffer.baseAddress, strerror_r(code, base, buffer.count - 1) == 0
            else { return "error \(code)" }
            return String(cString: base).lowercased()
        }
    }
}
