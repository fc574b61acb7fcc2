import Glibc
package import PrustCore
import PrustTLS

/// Founds a one-node cluster in a data directory.
///
/// Each file is complete when it has its name and is made only if it is missing, and
/// `identity/cluster.json` comes last: a founding that was interrupted is finished by the next
/// one, and one that was finished is left alone.
package struct Founding {
    private static let nodeDays = 730

    private let plan: FoundingPlan
    private let directory: DataDirectory
    private let now: WallTime

    /// Whether a founding was finished in this directory.
    package static func isFounded(_ dataDirectory: String) -> Bool {
        DataDirectory.exists(DataDirectory(dataDirectory).cluster)
    }

    /// The name of this machine; empty when it has none that a certificate can hold.
    package static func hostName() -> String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "" }
        let name = bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return Endpoint.isName(name) ? String(decoding: name, as: UTF8.self) : ""
    }

    /// Founds, or finishes a founding that was interrupted.
    ///
    /// - Parameters:
    ///   - plan: What to make.
    ///   - now: Wall time.
    /// - Returns: What there is now.
    /// - Throws: ``FoundingError``; what was made stays and is used the next time.
    package static func found(
        _ plan: FoundingPlan,
        now: WallTime
    ) throws(FoundingError) -> FoundingReport {
        guard AccessDocument.isValidName(plan.clientName) else {
            throw FoundingError(.invalid, "client name: expected letters, digits, . _ -")
        }
        guard !plan.advertise.isWildcard else {
            throw FoundingError(
                .invalid,
                "advertise: \(plan.advertise) stands for all addresses: give one that others can "
                    + "connect to"
            )
        }
        let directory = DataDirectory(plan.dataDirectory)
        let founding = Self(plan: plan, directory: directory, now: now)
        // No content is written then, so a node may be at work in the directory.
        if Self.isFounded(plan.dataDirectory) { return try founding.existing() }
        try DataDirectory.make(plan.dataDirectory)
        let lock = try DirectoryLock.take(plan.dataDirectory)
        try directory.handOver([founding.lockFile])
        let report = try founding.run()
        withExtendedLifetime(lock) {}
        return report
    }

    /// Founds for a daemon that was started without anybody asking for a new cluster.
    ///
    /// It must have been started by hand, on a directory that holds nothing but what a file system
    /// or an interrupted founding has put there.
    ///
    /// - Parameters:
    ///   - plan: What to make.
    ///   - environment: The variables of the process, among them those of a service manager.
    ///   - now: Wall time.
    /// - Returns: What there is now.
    /// - Throws: ``FoundingError``; nothing was made when founding was refused.
    package static func foundImplicitly(
        _ plan: FoundingPlan,
        environment: [String: String],
        now: WallTime
    ) throws(FoundingError) -> FoundingReport {
        let bootstrap = "prustadm bootstrap --data-dir \(plan.dataDirectory)"
        guard !Self.isService(environment) else {
            throw FoundingError(
                .notFounded,
                "\(plan.dataDirectory) holds no node yet, and a service founds none by itself: run "
                    + bootstrap
            )
        }
        if let name = Self.foreignEntry(of: plan) {
            throw FoundingError(
                .conflict,
                "\(plan.dataDirectory) holds no node, but \"\(name)\": choose an empty directory, "
                    + "or run \(bootstrap) if the node shall live beside it"
            )
        }
        return try Self.found(plan, now: now)
    }

    /// Whether a service manager has started this process.
    ///
    /// A terminal of a desktop that systemd has started hands `INVOCATION_ID` on to what is run in
    /// it; `SYSTEMD_EXEC_PID` (systemd.exec(5)) tells for which process it was meant.
    private static func isService(_ environment: [String: String]) -> Bool {
        if !environment["NOTIFY_SOCKET", default: ""].isEmpty { return true }
        guard !environment["INVOCATION_ID", default: ""].isEmpty else { return false }
        return environment["SYSTEMD_EXEC_PID"].map { $0 == "\(getpid())" } ?? true
    }

    /// An entry of the data directory that is neither a file system's nor a founding's.
    private static func foreignEntry(of plan: FoundingPlan) -> String? {
        var known: Set = ["lost+found", "LOCK", "identity", "ca"]
        let prefix = plan.dataDirectory + "/"
        if let clients = plan.clientDirectory, clients.hasPrefix(prefix),
            let name = clients.dropFirst(prefix.count).split(separator: "/").first
        {
            known.insert(String(name))
        }
        var foreign: String?
        DataDirectory.forEachEntry(of: plan.dataDirectory) { name in
            if foreign == nil, !known.contains(name) { foreign = name.printable }
        }
        return foreign
    }

    private var lockFile: String { self.directory.path + "/LOCK" }

    private func run() throws(FoundingError) -> FoundingReport {
        if DataDirectory.exists(self.directory.cluster) { return try self.existing() }
        guard DataDirectory.isEmpty(self.directory.segments) else {
            throw FoundingError(
                .conflict,
                "\(self.directory.segments) holds data, but \(self.directory.identity) is no "
                    + "complete identity: restore it from a backup, or choose an empty directory"
            )
        }
        for path in [self.directory.identity, self.directory.authority] {
            try DataDirectory.make(path)
            // Root must not be led elsewhere by a link that the service's user has put there.
            guard DataDirectory.isDirectory(path) else {
                throw FoundingError(.conflict, "\(path): expected a directory, found a link")
            }
        }
        do {
            let authority = try self.makeAuthority()
            let (nodeID, certificate) = try self.makeNode(authority)
            try self.makeAccess()
            try self.handOver()
            let cluster = ClusterIdentity(
                format: ClusterIdentity.formatCurrent,
                clusterID: Hex.encode(try Crypto.randomBytes(16)),
                node: nodeID.description,
                created: self.now.milliseconds,
                partitionBits: self.plan.partitionBits,
                replicationFactor: self.plan.replicationFactor
            )
            try self.save(cluster)
            return self.report(cluster, certificate, isNew: true)
        } catch let error as FoundingError {
            throw error
        } catch let error as AccessError {
            throw FoundingError(.conflict, error.message)
        } catch {
            throw FoundingError(.certificate, "\(error)")
        }
    }

    /// Writes the file that makes the directory founded; the service can read it as soon as it has
    /// its name.
    private func save(_ cluster: ClusterIdentity) throws(FoundingError) {
        let bytes = AdminJSON.encode(cluster, isPretty: true)
        let file = try StagedFile(bytes, path: self.directory.cluster, mode: 0o600)
        try file.give(to: DataDirectory.owner(self.directory.path))
        try file.place()
    }

    private func existing() throws(FoundingError) -> FoundingReport {
        // What root has left to itself here would keep the service from starting.
        try self.directory.handOver([self.directory.cluster, self.lockFile])
        let cluster = try ClusterIdentity.load(dataDirectory: self.directory.path)
        let certificate: Certificate
        do throws(TLSError) {
            certificate = try Self.readCertificate(self.directory.nodeCertificate)
        } catch {
            throw FoundingError(.conflict, error.message)
        }
        return self.report(cluster, certificate, isNew: false)
    }

    private func report(
        _ cluster: ClusterIdentity,
        _ certificate: Certificate,
        isNew: Bool
    ) -> FoundingReport {
        FoundingReport(
            isNew: isNew,
            clusterID: cluster.clusterID,
            nodeID: cluster.node,
            dataDirectory: self.directory.path,
            clientDirectory: isNew ? self.plan.clientDirectory : nil,
            clientName: self.plan.clientName,
            advertise: self.plan.advertise.description,
            certificateNotAfter: certificate.notAfter
        )
    }

    static func readCertificate(_ path: String) throws(TLSError) -> Certificate {
        try Certificate(
            pem: PrivateFile.read(path: path, byteCountMax: Limits.pemByteCountMax),
            name: path
        )
    }

    // MARK: Certificates

    /// The key is written first: without the certificate it was never used and is made anew.
    private func makeAuthority() throws -> CertificateAuthority {
        let authority: CertificateAuthority
        if DataDirectory.exists(self.directory.authorityCertificate) {
            guard DataDirectory.exists(self.directory.authorityKey) else {
                throw FoundingError(
                    .conflict,
                    "\(self.directory.authorityKey) is missing: put it back, or remove "
                        + "\(self.directory.authorityCertificate) to make a new CA"
                )
            }
            authority = try self.directory.loadAuthority()
        } else {
            let random = Hex.encode(try Crypto.randomBytes(4))
            authority = try CertificateAuthority.create(
                name: "PrustDB CA \(random)",
                now: self.now
            )
            try authority.key.write(path: self.directory.authorityKey)
            try authority.certificate.write(path: self.directory.authorityCertificate)
        }
        if !DataDirectory.exists(self.directory.trust) {
            try authority.certificate.write(path: self.directory.trust)
        }
        return authority
    }

    private func makeNode(
        _ authority: CertificateAuthority
    ) throws -> (NodeID, Certificate) {
        if DataDirectory.exists(self.directory.nodeCertificate) {
            let certificate = try Self.readCertificate(self.directory.nodeCertificate)
            guard case .node(let nodeID) = certificate.identity,
                certificate.isSigned(by: authority.certificate)
            else {
                throw FoundingError(
                    .conflict,
                    "\(self.directory.nodeCertificate) is not of the CA in "
                        + "\(self.directory.authority): remove it to make a new one"
                )
            }
            return (nodeID, certificate)
        }
        let nodeID = try NodeID.random()
        let (key, certificate) = try Self.makeNodePair(
            nodeID,
            dnsNames: self.plan.dnsNames,
            ipAddresses: self.plan.ipAddresses,
            authority: authority,
            now: self.now
        )
        try key.write(path: self.directory.nodeKey)
        try certificate.write(path: self.directory.nodeCertificate)
        return (nodeID, certificate)
    }

    /// Makes a key for a node, and signs the certificate for it.
    static func makeNodePair(
        _ nodeID: NodeID,
        dnsNames: [String],
        ipAddresses: [String],
        authority: CertificateAuthority,
        now: WallTime
    ) throws(TLSError) -> (key: PrivateKey, certificate: Certificate) {
        let key = try PrivateKey.generate()
        let request = try CertificateRequest.make(key: key, identity: .node(nodeID))
        let certificate = try authority.sign(
            request,
            profile: .node(nodeID, dnsNames: dnsNames, ipAddresses: ipAddresses),
            validitySeconds: ClientIssuer.validity(
                days: Self.nodeDays,
                authority: authority,
                now: now
            ),
            now: now
        )
        return (key, certificate)
    }

    // MARK: Users

    /// Users with the first administrator, and its credentials before it is remembered: an
    /// interrupted founding makes them again.
    private func makeAccess() throws {
        let file = AccessFile(path: self.directory.access)
        if DataDirectory.exists(file.path) {
            _ = try file.load()
            return
        }
        var document = AccessDocument()
        try document.createUser(
            name: self.plan.clientName,
            roles: [AccessDocument.Role.administrator.name],
            password: nil,
            now: self.now
        )
        if let directory = self.plan.clientDirectory {
            try self.checkClientDirectory(ClientFiles(directory: directory))
            let credentials = try ClientIssuer(dataDirectory: self.directory.path).issue(
                name: self.plan.clientName,
                request: nil,
                days: ClientIssuer.daysDefault,
                now: self.now
            )
            try ClientFiles(directory: directory).write(
                credentials,
                nodes: [self.plan.advertise.description]
            )
            try document.addCertificate(
                AccessDocument.IssuedCertificate(
                    serial: credentials.serial,
                    fingerprint: credentials.fingerprint,
                    notAfter: credentials.notAfter
                ),
                to: self.plan.clientName,
                now: self.now
            )
        }
        try file.save(document)
    }

    /// Credentials of another cluster must not be written over.
    private func checkClientDirectory(_ files: ClientFiles) throws {
        guard DataDirectory.exists(files.authority) || DataDirectory.exists(files.key) else {
            return
        }
        let trust = try Self.readCertificate(self.directory.trust)
        let found = try? Self.readCertificate(files.authority)
        guard found?.fingerprint == trust.fingerprint else {
            throw FoundingError(
                .conflict,
                "\(files.directory) holds credentials of another cluster: choose another directory "
                    + "for the client, or remove them"
            )
        }
    }

    private func handOver() throws(FoundingError) {
        try self.directory.handOver([
            self.directory.identity, self.directory.nodeCertificate, self.directory.nodeKey,
            self.directory.trust, self.directory.access, self.directory.authority,
            self.directory.authorityCertificate, self.directory.authorityKey,
        ])
    }
}

/// A file that has its content, its permissions and its owner before it has its name.
struct StagedFile {
    private let path: String
    private var draft: String { self.path + ".new" }

    /// Writes the content beside the place; what an interruption has left there is replaced.
    init(_ bytes: [UInt8], path: String, mode: UInt32) throws(FoundingError) {
        self.path = path
        do throws(TLSError) {
            try PrivateFile.write(bytes, path: path + ".new", mode: mode)
        } catch {
            throw FoundingError(.file, error.message)
        }
    }

    /// Gives it to its owner, where this process is root.
    func give(to owner: (user: uid_t, group: gid_t)?) throws(FoundingError) {
        guard geteuid() == 0, let owner else { return }
        guard lchown(self.draft, owner.user, owner.group) == 0 else {
            throw FileFault.error("cannot give it to its owner", self.draft)
        }
    }

    /// Puts it into place in one step.
    func place() throws(FoundingError) {
        guard rename(self.draft, self.path) == 0 else {
            throw FileFault.error("cannot put it into place", self.path)
        }
        let directory = self.path.lastIndex(of: "/").map { String(self.path[...$0]) } ?? "."
        let descriptor = open(directory, O_RDONLY | O_CLOEXEC | O_DIRECTORY)
        guard descriptor >= 0 else { throw FileFault.error("cannot open", directory) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileFault.error("cannot synchronize", directory) }
    }
}

extension DataDirectory {
    /// Visits the names in a directory, in no order; none when it cannot be read.
    static func forEachEntry(of path: String, _ body: (String) -> Void) {
        guard let stream = opendir(path) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { body(name) }
        }
    }
}
