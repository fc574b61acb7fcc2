import Glibc

/// Where everything stands in a data directory, and whose it is.
package struct DataDirectory: Equatable, Sendable {
    package let path: String

    package init(_ path: String) {
        self.path = path
    }

    package var identity: String { self.path + "/identity" }
    package var nodeCertificate: String { self.identity + "/node.crt" }
    package var nodeKey: String { self.identity + "/node.key" }
    package var trust: String { self.identity + "/ca.crt" }
    package var cluster: String { self.identity + "/cluster.json" }
    package var access: String { self.identity + "/" + AccessFile.name }
    package var authority: String { self.path + "/ca" }
    package var authorityCertificate: String { self.authority + "/ca.crt" }
    package var authorityKey: String { self.authority + "/ca.key" }
    package var segments: String { self.path + "/segments" }

    /// Whether something, also a dangling link, has this path.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// Whether the path itself is a directory and no link to one.
    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// A path from the root; the same path when the working directory is gone.
    static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let current = getcwd(nil, 0) else { return path }
        defer { free(current) }
        let relative = path.hasPrefix("./") ? String(path.dropFirst(2)) : path
        return String(cString: current) + "/" + relative
    }

    /// Whether a directory has no entries; `true` also when there is none.
    static func isEmpty(_ path: String) -> Bool {
        guard let stream = opendir(path) else { return true }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { return false }
        }
        return true
    }

    /// Makes a directory and those above it that are missing.
    static func make(_ path: String, mode: mode_t = 0o700) throws(FoundingError) {
        if mkdir(path, mode) == 0 { return }
        if errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try Self.make(String(path[..<slash]), mode: 0o755)
            if mkdir(path, mode) == 0 { return }
        }
        var status = stat()
        let code = errno
        guard code == EEXIST, stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            errno = code
            throw FileFault.error("cannot make the directory", path)
        }
    }

    /// User and group of a file; `nil` when there is none.
    static func owner(_ path: String) -> (user: uid_t, group: gid_t)? {
        var status = stat()
        return stat(path, &status) == 0 ? (status.st_uid, status.st_gid) : nil
    }

    /// Gives files that root has made to the owner of the data directory, so that the service can
    /// read them.
    func handOver(_ paths: [String]) throws(FoundingError) {
        guard geteuid() == 0, let owner = Self.owner(self.path), owner.user != 0 else { return }
        for path in paths where Self.exists(path) {
            guard lchown(path, owner.user, owner.group) == 0 else {
                throw FileFault.error("cannot give it to the owner of the data directory", path)
            }
        }
    }
}
