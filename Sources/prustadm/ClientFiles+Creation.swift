import Glibc
import PrustServer

/// What can go wrong with the files goes wrong before a node has signed anything: afterwards, the
/// only copy of the key would be lost.
extension ClientFiles {
    /// More than all files of a client need.
    private static let byteCountMax: off_t = 256 * 1024

    /// Makes the directory, and sees that the files are not there and have room.
    func prepare() throws {
        guard !self.isBegun, access(self.profile, F_OK) != 0 else {
            throw CommandFailure(
                .failed,
                "\(self.directory) holds credentials already: say --out another directory"
            )
        }
        try Self.make(self.directory, mode: 0o700)
        var name = Array("\(self.directory)/.prustadm-XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        guard descriptor >= 0 else { throw Self.failure(self.directory, errno) }
        defer { close(descriptor) }
        unlink(name)
        let code = posix_fallocate(descriptor, 0, Self.byteCountMax)
        guard code == 0 else { throw Self.failure(self.directory, code) }
    }

    /// Says in the profile that the key is where the client has it: no `client.key` was written.
    func leaveKeyOpen() throws {
        let text = String(decoding: try TextFile.read(self.profile), as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix("key:") ? "# key: FILE, the key of the certificate request" : line
        }
        try TextFile.replace(self.profile, with: Array(lines.joined(separator: "\n").utf8))
    }

    private static func make(_ path: String, mode: mode_t) throws {
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        if errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try Self.make(String(path[..<slash]), mode: 0o755)
            if mkdir(path, mode) == 0 || errno == EEXIST { return }
        }
        throw Self.failure(path, errno)
    }

    private static func failure(_ path: String, _ code: Int32) -> CommandFailure {
        let reason = String(cString: strerror(code))
        return CommandFailure(.failed, "\(path): cannot keep credentials there: \(reason)")
    }
}
