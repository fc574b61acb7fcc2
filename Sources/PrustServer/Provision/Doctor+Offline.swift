import Glibc
import NIOCore
package import PrustCore
import PrustTLS

/// What keeps a node from starting, looked at from outside while no node answers.
extension Doctor {
    /// Where systemd shows the credentials of the unit while the service runs.
    package static let credentialsDirectory = "/run/credentials/prustdb.service"

    /// Whether some process has the lock of the data directory.
    enum LockState: Equatable, Sendable {
        case free
        /// By the process that the file names.
        case held(processID: Int32?)
        case unknown(reason: String)
    }

    enum PortState: Equatable, Sendable {
        case free
        case inUse
        case unusable(reason: String)
    }

    /// Runs all checks that need no node.
    ///
    /// - Parameters:
    ///   - now: Wall time.
    ///   - checksPorts: Whether the settings came from a file; without one, nobody knows which
    ///     ports the node had.
    /// - Returns: One finding a check, in a fixed order.
    package func examineOffline(now: WallTime, checksPorts: Bool) -> [DoctorFinding] {
        let lock = self.lockState()
        var findings = [self.identity(now: now), self.ownership(), self.use(lock)]
        if checksPorts {
            let ports = [
                ("listen", self.settings.listen, "prustdb.socket"),
                ("metrics-listen", self.settings.metricsListen, "prustdb-metrics.socket"),
            ]
            findings += ports.map { name, endpoint, unit in
                Self.port(name, endpoint, Self.portState(endpoint), lock, unit: unit)
            }
        }
        return findings + self.examine(now: now, checksOwnLimits: false)
    }

    static func isCredential(_ path: String) -> Bool {
        path.hasPrefix(Self.credentialsDirectory + "/")
    }

    /// Whether it is a credential that cannot be seen, because the service does not run.
    static func isHidden(_ path: String) -> Bool {
        Self.isCredential(path) && !DataDirectory.exists(path)
    }

    // MARK: Identity

    private func identity(now: WallTime) -> DoctorFinding {
        let tls = self.settings.tls
        do {
            let cluster = try ClusterIdentity.load(dataDirectory: self.directory.path)
            _ = try AccessFile(path: self.directory.access).load()
            let node = "node \(cluster.node.prefix(12))"
            guard ![tls.certificate, tls.key, tls.authority].contains(where: Self.isHidden) else {
                return DoctorFinding(
                    check: "identity",
                    status: .ok,
                    message: "\(node); its credentials are there only while the service runs"
                )
            }
            let material = try TLSMaterial.load(
                certificateFile: tls.certificate,
                keyFile: tls.key,
                caFile: tls.authority,
                role: .node,
                now: now
            )
            guard let nodeID = cluster.nodeID, material.identity == .node(nodeID) else {
                throw FoundingError(
                    .conflict,
                    "\(tls.certificate) is the certificate of another node than "
                        + self.directory.cluster
                )
            }
            return DoctorFinding(
                check: "identity",
                status: .ok,
                message: "\(node), with its key, its certificate and its users"
            )
        } catch {
            let isFounded = Founding.isFounded(self.directory.path)
            return DoctorFinding(
                check: "identity",
                status: .fail,
                message: "\(error)",
                advice: isFounded
                    ? "restore the file from a backup; prustadm node renew makes a new pair of key "
                        + "and certificate" : nil
            )
        }
    }

    // MARK: Owner

    /// Asks whether the owner of the directory can use what is in it; root, who may run this, can
    /// use everything.
    private func ownership() -> DoctorFinding {
        let root = self.directory.path
        guard let owner = DataDirectory.owner(root) else {
            return DoctorFinding(
                check: "owner",
                status: .fail,
                message: FileFault.error("cannot look at it", root).message
            )
        }
        let name = Self.userName(owner.user)
        var faults: [String] = []
        var count = 0
        for path in self.paths() {
            var status = stat()
            guard lstat(path, &status) == 0,
                let fault = Self.fault(
                    mode: status.st_mode,
                    user: status.st_uid,
                    owner: owner.user
                )
            else { continue }
            count += 1
            if faults.isEmpty { faults.append("\(path.printable) \(fault)") }
        }
        if let first = faults.first {
            return DoctorFinding(
                check: "owner",
                status: .fail,
                message: first + (count > 1 ? " (and \(count - 1) more)" : ""),
                advice: "chown -R \(name): \(root), and chmod u+rwX -R \(root)"
            )
        }
        let isRoot = owner.user == 0 && getpwnam(Self.serviceUser) != nil
        return DoctorFinding(
            check: "owner",
            status: isRoot ? .warn : .ok,
            message: "\(root) and what is in it belong to \(name)",
            advice: isRoot
                ? "for the service: chown -R \(Self.serviceUser): \(root)" : nil
        )
    }

    private static let serviceUser = "prustdb"

    /// The directory and what stands in it down to the second level, where all files are.
    private func paths() -> [String] {
        let root = self.directory.path
        var paths = [root]
        DataDirectory.forEachEntry(of: root) { name in
            guard name != "lost+found" else { return }
            let path = "\(root)/\(name)"
            paths.append(path)
            guard DataDirectory.isDirectory(path) else { return }
            DataDirectory.forEachEntry(of: path) { paths.append("\(path)/\($0)") }
        }
        // A key that the unit hands over as a credential may stand here and be root's.
        let unused = self.directory.nodeKey
        return self.settings.tls.key == unused ? paths : paths.filter { $0 != unused }
    }

    /// Judges one entry; `nil` when the owner of the directory can use it.
    static func fault(mode: mode_t, user: uid_t, owner: uid_t) -> String? {
        let kind = mode & S_IFMT
        if kind == S_IFLNK { return nil }
        if user != owner { return "belongs to \(Self.userName(user))" }
        let needed: mode_t = kind == S_IFDIR ? 0o700 : 0o400
        if mode & needed == needed { return nil }
        return "has mode 0\(String(mode & 0o777, radix: 8)), which keeps its owner out"
    }

    private static func userName(_ user: uid_t) -> String {
        guard let entry = getpwuid(user), let name = entry.pointee.pw_name else { return "\(user)" }
        return String(cString: name)
    }

    // MARK: Lock

    /// Tries the lock for a moment, shared, so that two examinations do not meet.
    func lockState() -> LockState {
        let descriptor = open(self.directory.path + "/LOCK", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        if descriptor < 0, errno == ENOENT { return .free }
        guard descriptor >= 0 else { return .unknown(reason: Self.reason()) }
        defer { close(descriptor) }
        if flock(descriptor, LOCK_SH | LOCK_NB) == 0 { return .free }
        guard errno == EWOULDBLOCK else { return .unknown(reason: Self.reason()) }
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let digits = bytes.prefix(max(0, count)).prefix { (48...57).contains($0) }
        return .held(processID: Int32(String(decoding: digits, as: UTF8.self)))
    }

    private static func reason() -> String { String(cString: strerror(errno)) }

    private func use(_ lock: LockState) -> DoctorFinding {
        switch lock {
        case .free:
            DoctorFinding(
                check: "lock",
                status: .ok,
                message: "no process uses the data directory"
            )
        case .held:
            DoctorFinding(
                check: "lock",
                status: .warn,
                message: "\(Self.name(lock)) uses the data directory, but does not answer at "
                    + self.settings.adminSocket,
                advice: "it may still be reading its log: see systemctl status prustdb; no other "
                    + "node can start before it ends"
            )
        case .unknown(let reason):
            DoctorFinding(
                check: "lock",
                status: .warn,
                message: "\(self.directory.path)/LOCK: \(reason)",
                advice: "run it as root or as the owner of the data directory"
            )
        }
    }

    private static func name(_ lock: LockState) -> String {
        guard case .held(processID: .some(let number)) = lock else { return "another process" }
        return "process \(number)"
    }

    // MARK: Ports

    /// Tries to bind as the node does, and gives the port back at once.
    static func portState(_ endpoint: Endpoint) -> PortState {
        guard endpoint.port > 0 else { return .free }
        let address: SocketAddress
        do {
            address = try SocketAddress.makeAddressResolvingHost(endpoint.host, port: endpoint.port)
        } catch {
            return .unusable(reason: "\(endpoint.host) is no address of this machine")
        }
        return address.withSockAddr { pointer, byteCount -> PortState in
            let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            let descriptor = socket(Int32(pointer.pointee.sa_family), kind, 0)
            guard descriptor >= 0 else { return .unusable(reason: Self.reason()) }
            defer { close(descriptor) }
            var one: Int32 = 1
            let size = socklen_t(MemoryLayout<Int32>.size)
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, size)
            if bind(descriptor, pointer, socklen_t(byteCount)) == 0 { return .free }
            return errno == EADDRINUSE ? .inUse : .unusable(reason: Self.reason())
        }
    }

    /// Judges a port; in use it may be by the node, or by systemd for the node.
    static func port(
        _ check: String,
        _ endpoint: Endpoint,
        _ state: PortState,
        _ lock: LockState,
        unit: String
    ) -> DoctorFinding {
        let isSystemd = DataDirectory.exists("/etc/systemd/system/sockets.target.wants/\(unit)")
        let message: String
        switch (state, lock) {
        case (.free, _):
            message = "\(endpoint) is free"
        case (.inUse, .held):
            message = "\(endpoint) is in use, as \(Self.name(lock)) is at work"
        case (.inUse, .free) where isSystemd, (.inUse, .unknown) where isSystemd:
            message = "\(endpoint) is in use, by systemd (\(unit))"
        case (.inUse, .free), (.inUse, .unknown):
            return DoctorFinding(
                check: check,
                status: .fail,
                message: "\(endpoint) is in use by another program",
                advice: "see which (ss -ltnp), and stop it or set another address"
            )
        case (.unusable(let reason), _):
            return DoctorFinding(
                check: check,
                status: .fail,
                message: "cannot listen on \(endpoint): \(reason)",
                advice: "correct the address in the settings"
            )
        }
        return DoctorFinding(check: check, status: .ok, message: message)
    }
}
