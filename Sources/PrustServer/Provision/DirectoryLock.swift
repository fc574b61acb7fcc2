import Glibc

/// Keeps other processes out of a data directory while this object lives.
///
/// The same lock as the storage takes: `flock` on the file LOCK, which holds the process ID of
/// the last owner.
package final class DirectoryLock: Sendable {
    private let descriptor: Int32

    private init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(self.descriptor)
    }

    /// Takes the lock without waiting.
    ///
    /// - Parameter directory: An existing data directory.
    /// - Returns: The lock; it is given back when the last reference goes.
    /// - Throws: ``FoundingError`` with the process that holds it.
    package static func take(_ directory: String) throws(FoundingError) -> DirectoryLock {
        let path = directory + "/LOCK"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileFault.error("cannot open", path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let isHeld = errno == EWOULDBLOCK
            let fault = FileFault.error("cannot lock", path)
            let holder = Self.holder(descriptor)
            close(descriptor)
            guard isHeld else { throw fault }
            throw FoundingError(
                .inUse,
                "\(directory) is in use by \(holder.map { "process \($0)" } ?? "another process")"
            )
        }
        let text = Array("\(getpid())\n".utf8)
        if ftruncate(descriptor, 0) == 0 {
            // The number only makes the message above better; the lock is what counts.
            _ = pwrite(descriptor, text, text.count, 0)
        }
        return DirectoryLock(descriptor: descriptor)
    }

    private static func holder(_ descriptor: Int32) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let digits = bytes.prefix(max(0, count)).prefix { (48...57).contains($0) }
        return Int32(String(decoding: digits, as: UTF8.self))
    }
}

/// Errors of the system, with the path and the reason.
enum FileFault {
    /// Reads `errno`, so it must be called directly after the call that failed.
    static func error(_ what: String, _ path: String) -> FoundingError {
        FoundingError(.file, "\(path): \(what): \(String(cString: strerror(errno)))")
    }
}
