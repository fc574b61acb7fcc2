package import PrustCore
import PrustTLS

/// Signs client certificates with the CA key of a data directory.
///
/// The key is read for each certificate and not kept in memory.
package struct ClientIssuer: Sendable {
    package static let daysDefault = 365
    package static let daysMax = 3_650

    private let directory: DataDirectory

    package init(dataDirectory: String) {
        self.directory = DataDirectory(dataDirectory)
    }

    /// Signs a certificate for a client.
    ///
    /// - Parameters:
    ///   - name: Of the user that the certificate authenticates.
    ///   - request: A certificate request in PEM; without one, a key is made too.
    ///   - days: How long it is good for, but never longer than the CA.
    ///   - now: Wall time.
    /// - Returns: Everything that the client needs.
    /// - Throws: ``AccessError`` with the field that was wrong, or why the CA cannot sign.
    package func issue(
        name: String,
        request: [UInt8]?,
        days: Int,
        now: WallTime
    ) throws(AccessError) -> ClientCredentials {
        guard AccessDocument.isValidName(name) else {
            throw AccessError(
                .invalid,
                "client name: expected 1 to \(Limits.nameByteCountMax) of A-Z a-z 0-9 . _ -"
            )
        }
        guard (1...Self.daysMax).contains(days) else {
            throw AccessError(.invalid, "days: expected 1 to \(Self.daysMax)")
        }
        var given: CertificateRequest?
        do throws(TLSError) {
            if let request { given = try CertificateRequest(pem: request) }
        } catch {
            throw AccessError(.invalid, error.message)
        }
        do throws(TLSError) {
            var key: PrivateKey?
            let csr: CertificateRequest
            if let given {
                csr = given
            } else {
                let own = try PrivateKey.generate()
                key = own
                csr = try CertificateRequest.make(key: own, identity: .client(name))
            }
            let authority = try self.directory.loadAuthority()
            let certificate = try authority.sign(
                csr,
                profile: .client(name),
                validitySeconds: Self.validity(days: days, authority: authority, now: now),
                now: now
            )
            return ClientCredentials(
                name: name,
                certificate: String(decoding: certificate.pem, as: UTF8.self),
                key: try key.map { (key) throws(TLSError) in
                    String(decoding: try key.pem(), as: UTF8.self)
                },
                ca: String(decoding: authority.certificate.pem, as: UTF8.self),
                serial: certificate.serial,
                fingerprint: certificate.fingerprint,
                notAfter: certificate.notAfter
            )
        } catch {
            throw AccessError(.storage, error.message)
        }
    }

    /// A certificate must not outlive its CA.
    static func validity(days: Int, authority: CertificateAuthority, now: WallTime) -> Int64 {
        let left = authority.certificate.notAfter - now.milliseconds / 1_000
        return max(60, min(Int64(days) * 86_400, left))
    }
}

extension DataDirectory {
    /// The CA, where this node has its key.
    func loadAuthority() throws(TLSError) -> CertificateAuthority {
        guard Self.exists(self.authorityKey) else {
            throw TLSError(
                .fileUnreadable,
                "\(self.authorityKey): there is no CA key on this node: sign with the one that has"
            )
        }
        let bound = Limits.pemByteCountMax
        let certificate = try Certificate(
            pem: PrivateFile.read(path: self.authorityCertificate, byteCountMax: bound),
            name: self.authorityCertificate
        )
        let key = try PrivateKey(
            pem: PrivateFile.readSecret(path: self.authorityKey, byteCountMax: bound),
            name: self.authorityKey
        )
        return try CertificateAuthority(certificate: certificate, key: key)
    }
}
