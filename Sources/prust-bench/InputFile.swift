import Glibc

/// A file, or standard input as `-`, read piece by piece.
struct InputFile: ~Copyable {
    static let pieceByteCount = 256 * 1024

    /// Bytes of the whole file; `nil` for what is no regular file.
    let byteCount: Int?
    private let name: String
    private let descriptor: Int32

    init(path: String) throws(BenchError) {
        self.name = path == "-" ? "standard input" : path
        if path == "-" {
            self.descriptor = STDIN_FILENO
        } else {
            self.descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard self.descriptor >= 0 else {
                let reason = errno == ENOENT ? "no such file" : "cannot be read, error \(errno)"
                throw BenchError(.failed, "\(path): \(reason)")
            }
        }
        var status = stat()
        let isRegular =
            fstat(self.descriptor, &status) == 0 && (status.st_mode & S_IFMT) == S_IFREG
        self.byteCount = isRegular ? Int(status.st_size) : nil
    }

    deinit {
        if self.descriptor != STDIN_FILENO { close(self.descriptor) }
    }

    /// Reads the next piece; an empty one is the end.
    func read(into piece: inout [UInt8]) throws(BenchError) {
        while true {
            var count = 0
            piece = Array(unsafeUninitializedCapacity: Self.pieceByteCount) { buffer, filled in
                count = Glibc.read(self.descriptor, buffer.baseAddress, buffer.count)
                filled = max(0, count)
            }
            if count >= 0 { return }
            let code = errno
            guard code == EINTR else {
                throw BenchError(.failed, "\(self.name): cannot be read, error \(code)")
            }
        }
    }
}
