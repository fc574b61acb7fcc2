package import PrustCore
import PrustTLS

/// What a renewal of the node's certificate has made.
package struct RenewalReport: Codable, Equatable, Sendable {
    package var nodeID: String
    /// Path of the certificate.
    package var certificate: String
    /// Path of its key.
    package var key: String
    package var fingerprint: String
    /// Seconds since 1970.
    package var notAfter: Int64
}

extension Founding {
    /// Gives a node a new key, and a new certificate with the names of the old one.
    ///
    /// Only these two files are replaced, so the node may be at work; its next reload takes them.
    /// An interruption between the two leaves a pair that does not match: a reload refuses it,
    /// the node goes on with what it has, and another renewal replaces both.
    ///
    /// - Parameters:
    ///   - settings: Of the node: where its data directory, certificate and key are.
    ///   - now: Wall time.
    /// - Returns: What there is now.
    /// - Throws: ``FoundingError``; unless both files were replaced, another renewal may follow.
    package static func renew(
        _ settings: Settings,
        now: WallTime
    ) throws(FoundingError) -> RenewalReport {
        let tls = settings.tls
        for path in [tls.certificate, tls.key] where Doctor.isCredential(path) {
            let directory = DataDirectory(settings.dataDirectory)
            throw FoundingError(
                .invalid,
                "\(path) is a credential, which only the unit can replace: renew with --data-dir "
                    + "\(directory.path), give \(directory.nodeCertificate) and "
                    + "\(directory.nodeKey) to LoadCredential=, and restart the node"
            )
        }
        let cluster = try ClusterIdentity.load(dataDirectory: settings.dataDirectory)
        let (key, certificate) = try Self.makeRenewal(settings, nodeID: cluster.nodeID, now: now)
        let keyFile = try StagedFile(key, path: tls.key, mode: 0o600)
        let certificateFile = try StagedFile(certificate.pem, path: tls.certificate, mode: 0o644)
        let owner = DataDirectory.owner(settings.dataDirectory)
        try keyFile.give(to: DataDirectory.owner(tls.key) ?? owner)
        try certificateFile.give(to: DataDirectory.owner(tls.certificate) ?? owner)
        try keyFile.place()
        try certificateFile.place()
        return RenewalReport(
            nodeID: cluster.node,
            certificate: tls.certificate,
            key: tls.key,
            fingerprint: certificate.fingerprint,
            notAfter: certificate.notAfter
        )
    }

    /// Makes the pair in memory, and checks it as the node's reload will.
    private static func makeRenewal(
        _ settings: Settings,
        nodeID: NodeID?,
        now: WallTime
    ) throws(FoundingError) -> (keyPEM: [UInt8], certificate: Certificate) {
        let tls = settings.tls
        do throws(TLSError) {
            let directory = DataDirectory(settings.dataDirectory)
            let authority = try directory.loadAuthority()
            let old = try Self.readCertificate(tls.certificate)
            guard let nodeID, old.identity == .node(nodeID),
                old.isSigned(by: authority.certificate)
            else {
                throw TLSError(
                    .notSignedByAuthority,
                    "\(tls.certificate) is not this node's certificate by the CA in "
                        + "\(directory.authority): renew it where it was signed"
                )
            }
            let (key, certificate) = try Self.makeNodePair(
                nodeID,
                dnsNames: old.dnsNames,
                ipAddresses: old.ipAddresses,
                authority: authority,
                now: now
            )
            let keyPEM = try key.pem()
            // A bundle that only the unit can see is taken to hold this CA.
            let trust =
                try Doctor.isCredential(tls.authority)
                ? authority.certificate.pem
                : PrivateFile.read(path: tls.authority, byteCountMax: Limits.pemByteCountMax)
            _ = try TLSMaterial(
                certificatePEM: certificate.pem,
                keyPEM: keyPEM,
                caPEM: trust,
                role: .node,
                now: now,
                names: TLSMaterial.Names(authorities: tls.authority)
            )
            return (keyPEM, certificate)
        } catch {
            throw FoundingError(.certificate, error.message)
        }
    }
}
