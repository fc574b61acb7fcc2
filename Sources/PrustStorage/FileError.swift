import Glibc

/// What went wrong with a file, in words that an operator can act upon.
package struct FileError: Error, Hashable, Sendable {
    /// The call, as in the manual: `open`, `write`, `fdatasync` ...
    package var operation: String
    package var path: String
    /// The `errno` of the call.
    package var code: Int32

    package init(operation: String, path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    /// The disk, or this user's share of it, is full: writes may work again later.
    package var isNoSpace: Bool { self.code == ENOSPC || self.code == EDQUOT }

    /// The disk could not do it: a bad sector, or a device that is gone.
    package var isDiskFailure: Bool { self.code == EIO }

    package var isNotFound: Bool { self.code == ENOENT }

    package var isAlreadyThere: Bool { self.code == EEXIST }

    private static let names: [Int32: String] = [
        EPERM: "EPERM", ENOENT: "ENOENT", EIO: "EIO", EBADF: "EBADF", EACCES: "EACCES",
        EEXIST: "EEXIST", ENOTDIR: "ENOTDIR", EISDIR: "EISDIR", EINVAL: "EINVAL",
        EMFILE: "EMFILE", ENFILE: "ENFILE", EFBIG: "EFBIG", ENOSPC: "ENOSPC", EROFS: "EROFS",
        EDQUOT: "EDQUOT", ENAMETOOLONG: "ENAMETOOLONG", EOPNOTSUPP: "EOPNOTSUPP",
        ENOTEMPTY: "ENOTEMPTY", ELOOP: "ELOOP", EBUSY: "EBUSY", ENOMEM: "ENOMEM",
    ]
}

extension FileError: CustomStringConvertible {
    /// For example `write segments/0000000001.seg: No space left on device (ENOSPC)`.
    package var description: String {
        let name = Self.names[self.code] ?? "errno \(self.code)"
        return "\(self.operation) \(self.path): \(String(cString: strerror(self.code))) (\(name))"
    }
}
