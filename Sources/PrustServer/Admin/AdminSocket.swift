package import Glibc

/// The file of the admin API's Unix socket.
package enum AdminSocket {
    package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
        package var message: String
        package var description: String { self.message }
    }

    /// Owner and group may connect.
    package static let mode: mode_t = 0o660

    /// Removes what a process that died has left, so that the socket can be bound again.
    ///
    /// - Parameter path: Of the socket.
    /// - Throws: ``Failure`` when another kind of file or a living server is there.
    package static func prepare(path: String) throws(Failure) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw Failure(message: "\(path): expected a socket or nothing, found another file")
        }
        guard try !Self.isAnswered(path) else {
            throw Failure(message: "\(path): another process listens on this socket")
        }
        guard unlink(path) == 0 || errno == ENOENT else {
            throw Failure(message: "\(path): cannot remove the old socket: \(Self.reason())")
        }
    }

    /// Lets owner and group in, whatever the umask was when the socket was bound.
    package static func setPermissions(path: String) throws(Failure) {
        guard chmod(path, Self.mode) == 0 else {
            throw Failure(message: "\(path): cannot set the permissions: \(Self.reason())")
        }
    }

    private static func isAnswered(_ path: String) throws(Failure) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < capacity else {
            throw Failure(message: "\(path): longer than \(capacity - 1) bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { target in
            for (index, byte) in path.utf8.enumerated() { target[index] = byte }
        }
        // Not blocking: a living server whose backlog is full must not hold up our start.
        let flags = Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | flags, 0)
        guard descriptor >= 0 else {
            throw Failure(message: "cannot make a socket: \(Self.reason())")
        }
        defer { close(descriptor) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, length) == 0 || errno == EAGAIN
            }
        }
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
