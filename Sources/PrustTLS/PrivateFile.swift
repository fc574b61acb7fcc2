internal import Glibc
internal import PrustCore

/// Reads and writes the small files that hold keys and certificates.
package enum PrivateFile {
    /// Puts a file into place in one step: a crash leaves the old one or the new one, whole.
    ///
    /// A temporary file beside it is created exclusively with `mode`, filled, synchronized and
    /// renamed; then the directory is synchronized.
    package static func write(
        _ bytes: [UInt8],
        path: String,
        mode: UInt32
    ) throws(TLSError) {
        let suffix = Hex.encode(try Crypto.randomBytes(8))
        let temporary = "\(path).\(suffix).tmp"
        do throws(TLSError) {
            try Self.create(temporary, bytes: bytes, mode: mode)
            guard rename(temporary, path) == 0 else {
                throw Self.failure(.fileNotWritten, path, "cannot be put into place")
            }
        } catch {
            unlink(temporary)
            throw error
        }
        try Self.synchronizeDirectory(of: path)
    }

    /// Reads a regular file of at most `byteCountMax` bytes.
    package static func read(path: String, byteCountMax: Int) throws(TLSError) -> [UInt8] {
        try Self.read(path: path, byteCountMax: byteCountMax, isSecret: false)
    }

    /// Reads a file whose content only its owner may know; others' permissions are refused.
    package static func readSecret(path: String, byteCountMax: Int) throws(TLSError) -> [UInt8] {
        try Self.read(path: path, byteCountMax: byteCountMax, isSecret: true)
    }

    private static func read(
        path: String,
        byteCountMax: Int,
        isSecret: Bool
    ) throws(TLSError) -> [UInt8] {
        // Without O_NONBLOCK a named pipe in the place of the file would block for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.failure(.fileUnreadable, path, "cannot be opened") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw Self.failure(.fileUnreadable, path, "cannot be examined")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw TLSError(.fileUnreadable, "\(path): expected a regular file")
        }
        if isSecret, status.st_mode & 0o077 != 0 {
            let mode = String(status.st_mode & 0o7777, radix: 8)
            throw TLSError(
                .filePermissions,
                "\(path): permissions: expected 0600, found 0\(mode), which lets others read the "
                    + "private key: run chmod 600 \(path)"
            )
        }
        return try Self.contents(descriptor, path: path, byteCountMax: byteCountMax)
    }

    private static func contents(
        _ descriptor: Int32,
        path: String,
        byteCountMax: Int
    ) throws(TLSError) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw Self.failure(.fileUnreadable, path, "cannot be read")
            }
            if count == 0 { return bytes }
            bytes.append(contentsOf: chunk.prefix(count))
            guard bytes.count <= byteCountMax else {
                throw TLSError(
                    .fileTooLarge,
                    "\(path): size: expected at most \(byteCountMax) bytes"
                )
            }
        }
    }

    private static func create(
        _ path: String,
        bytes: [UInt8],
        mode: UInt32
    ) throws(TLSError) {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let descriptor = open(path, flags, mode_t(mode))
        guard descriptor >= 0 else {
            throw Self.failure(.fileNotWritten, path, "cannot be created")
        }
        defer { close(descriptor) }
        // The umask may have taken bits away that `mode` asks for.
        guard fchmod(descriptor, mode_t(mode)) == 0 else {
            throw Self.failure(.fileNotWritten, path, "cannot be given its permissions")
        }
        var position = 0
        while position < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.write(
                    descriptor,
                    buffer.baseAddress?.advanced(by: position),
                    buffer.count - position
                )
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw Self.failure(.fileNotWritten, path, "cannot be written")
            }
            position += count
        }
        guard fsync(descriptor) == 0 else {
            throw Self.failure(.fileNotWritten, path, "cannot be synchronized")
        }
    }

    private static func synchronizeDirectory(of path: String) throws(TLSError) {
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(directory, O_RDONLY | O_CLOEXEC | O_DIRECTORY)
        guard descriptor >= 0 else {
            throw Self.failure(.fileNotWritten, directory, "cannot be opened")
        }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else {
            throw Self.failure(.fileNotWritten, directory, "cannot be synchronized")
        }
    }

    /// Reads `errno`, so it must be called directly after the call that failed.
    private static func failure(_ code: TLSError.Code, _ path: String, _ what: String) -> TLSError {
        let reason = String(cString: strerror(errno))
        return TLSError(code, "\(path): \(what): \(reason)")
    }
}
