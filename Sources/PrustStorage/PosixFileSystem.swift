import Glibc

/// The file system of this machine.
package final class PosixFileSystem: FileSystem {
    package var processID: Int32 { getpid() }

    package init() {}

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let flags: Int32 =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .create: O_RDWR | O_CREAT | O_EXCL
            case .createOrOpen: O_RDWR | O_CREAT
            case .createOrTruncate: O_RDWR | O_CREAT | O_TRUNC
            }
        let descriptor = try SystemCall.retry("open", path) {
            Int(Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600))
        }
        return PosixFile(path: path, descriptor: Int32(truncatingIfNeeded: descriptor))
    }

    package func rename(_ path: String, to newPath: String) throws(FileError) {
        _ = try SystemCall.retry("rename", path) { Int(Glibc.rename(path, newPath)) }
    }

    package func unlink(_ path: String) throws(FileError) {
        _ = try SystemCall.retry("unlink", path) { Int(Glibc.unlink(path)) }
    }

    package func list(_ path: String) throws(FileError) -> [String] {
        guard let directory = opendir(path) else {
            throw FileError(operation: "opendir", path: path, code: errno)
        }
        defer { closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(directory) else { break }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        guard errno == 0 else {
            throw FileError(operation: "readdir", path: path, code: errno)
        }
        return names.sorted()
    }

    package func makeDirectory(_ path: String) throws(FileError) {
        do throws(FileError) {
            _ = try SystemCall.retry("mkdir", path) { Int(mkdir(path, 0o700)) }
        } catch {
            guard error.isAlreadyThere else { throw error }
        }
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        let descriptor = try SystemCall.retry("open", path) {
            Int(Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        }
        let directory = PosixFile(
            path: path,
            descriptor: Int32(truncatingIfNeeded: descriptor)
        )
        try directory.sync()
    }

    package func freeByteCount(_ path: String) throws(FileError) -> UInt64 {
        var answer = statvfs()
        _ = try SystemCall.retry("statvfs", path) { Int(statvfs(path, &answer)) }
        let (byteCount, overflow) = UInt64(answer.f_bavail)
            .multipliedReportingOverflow(by: UInt64(answer.f_frsize))
        return overflow ? .max : byteCount
    }
}

/// A file descriptor, closed with the last reference.
package final class PosixFile: File {
    package let path: String
    private let descriptor: Int32

    fileprivate init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit {
        // Whoever cares about the contents has synced them; there is nobody to tell here.
        _ = close(self.descriptor)
    }

    package func read(
        into buffer: UnsafeMutableRawBufferPointer,
        at offset: UInt64
    ) throws(FileError) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        return try SystemCall.repeatUntilDone("read", self.path, byteCount: buffer.count) { done in
            pread(
                self.descriptor,
                base + done,
                buffer.count - done,
                off_t(clamping: offset) + off_t(done)
            )
        }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(FileError) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        let done = try SystemCall.repeatUntilDone("write", self.path, byteCount: bytes.count) {
            done in
            pwrite(
                self.descriptor,
                base + done,
                bytes.count - done,
                off_t(clamping: offset) + off_t(done)
            )
        }
        // A write that takes nothing and names no error would otherwise look like success.
        guard done == bytes.count else {
            throw FileError(operation: "write", path: self.path, code: EIO)
        }
    }

    package func write(
        gather buffers: [UnsafeRawBufferPointer],
        at offset: UInt64
    ) throws(FileError) {
        let vectors = buffers.map { buffer in
            iovec(
                iov_base: UnsafeMutableRawPointer(mutating: buffer.baseAddress),
                iov_len: buffer.count
            )
        }
        let total = buffers.reduce(0) { $0 + $1.count }
        var done = 0
        if vectors.count <= 1024 {
            done = try SystemCall.retry("pwritev", self.path) {
                pwritev(
                    self.descriptor,
                    vectors,
                    Int32(truncatingIfNeeded: vectors.count),
                    off_t(clamping: offset)
                )
            }
        }
        guard done < total else { return }
        // A short write: the remainder goes out one buffer at a time.
        var start = 0
        for buffer in buffers {
            let end = start + buffer.count
            if end > done {
                let skipped = max(0, done - start)
                try self.write(
                    UnsafeRawBufferPointer(rebasing: buffer[skipped...]),
                    at: offset + UInt64(start + skipped)
                )
            }
            start = end
        }
    }

    package func syncData() throws(FileError) {
        _ = try SystemCall.retry("fdatasync", self.path) { Int(fdatasync(self.descriptor)) }
    }

    package func sync() throws(FileError) {
        _ = try SystemCall.retry("fsync", self.path) { Int(fsync(self.descriptor)) }
    }

    package func truncate(to byteCount: UInt64) throws(FileError) {
        _ = try SystemCall.retry("ftruncate", self.path) {
            Int(ftruncate(self.descriptor, off_t(clamping: byteCount)))
        }
    }

    package func allocate(from offset: UInt64, byteCount: UInt64) throws(FileError) {
        while true {
            let code = posix_fallocate(
                self.descriptor,
                off_t(clamping: offset),
                off_t(clamping: byteCount)
            )
            if code == 0 { return }
            guard code == EINTR else {
                throw FileError(operation: "fallocate", path: self.path, code: code)
            }
        }
    }

    package func size() throws(FileError) -> UInt64 {
        var answer = stat()
        _ = try SystemCall.retry("fstat", self.path) { Int(fstat(self.descriptor, &answer)) }
        return UInt64(clamping: answer.st_size)
    }

    package func lock() throws(FileError) -> Bool {
        do throws(FileError) {
            _ = try SystemCall.retry("flock", self.path) {
                Int(flock(self.descriptor, LOCK_EX | LOCK_NB))
            }
            return true
        } catch {
            guard error.code == EWOULDBLOCK else { throw error }
            return false
        }
    }
}

/// The loops that every system call needs around it.
package enum SystemCall {
    /// Calls again while a signal interrupts.
    package static func retry(
        _ operation: String,
        _ path: String,
        _ call: () -> Int
    ) throws(FileError) -> Int {
        while true {
            let result = call()
            if result >= 0 { return result }
            let code = errno
            guard code == EINTR else {
                throw FileError(operation: operation, path: path, code: code)
            }
        }
    }

    /// Calls again while a transfer comes up short, until it is done or a call transfers nothing.
    ///
    /// - Parameters:
    ///   - operation: Its name in an error.
    ///   - path: The file.
    ///   - byteCount: How much to transfer.
    ///   - call: One system call; told what has been transferred already.
    /// - Returns: The bytes transferred.
    /// - Throws: The error of the call that failed.
    package static func repeatUntilDone(
        _ operation: String,
        _ path: String,
        byteCount: Int,
        _ call: (_ done: Int) -> Int
    ) throws(FileError) -> Int {
        var done = 0
        while done < byteCount {
            let count = try Self.retry(operation, path) { call(done) }
            if count == 0 { break }
            done += count
        }
        return done
    }
}
