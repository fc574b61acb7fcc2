internal import COpenSSL
internal import PrustCore

/// An X.509 certificate.
package struct Certificate: Sendable {
    package let details: CertificateDetails
    package let der: [UInt8]
    let handle: OpenSSLObject

    init(handle: OpenSSLObject) throws(TLSError) {
        var start: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509(handle.pointer, &start)
        guard count > 0, let start else { throw .library("certificate encoding") }
        defer { CRYPTO_free(start, #file, #line) }
        self.der = [UInt8](UnsafeBufferPointer(start: start, count: Int(count)))
        self.details = CertificateDetails(x509: handle.pointer)
        self.handle = handle
    }

    /// Reads DER.
    package init(der: [UInt8], name: String = "certificate") throws(TLSError) {
        let pointer = der.withUnsafeBufferPointer { buffer in
            var position = buffer.baseAddress
            return d2i_X509(nil, &position, buffer.count)
        }
        guard let handle = OpenSSLObject(pointer, release: X509_free) else {
            ERR_clear_error()
            throw TLSError(.notPEM, "\(name): expected a certificate in DER")
        }
        try self.init(handle: handle)
    }

    /// Reads exactly one certificate in PEM.
    package init(pem: [UInt8], name: String = "certificate") throws(TLSError) {
        let all = try Self.parseAll(pem: pem, name: name)
        guard all.count == 1, let first = all.first else {
            throw TLSError(.notPEM, "\(name): expected one certificate, found \(all.count)")
        }
        self = first
    }

    /// Reads one or more certificates in PEM, in their order.
    package static func parseAll(pem: [UInt8], name: String) throws(TLSError) -> [Self] {
        guard pem.count <= Limits.pemByteCountMax else {
            throw TLSError(
                .fileTooLarge,
                "\(name): size: expected at most \(Limits.pemByteCountMax) bytes"
            )
        }
        var handles: [OpenSSLObject] = []
        let isWhole: Bool? = MemoryBIO.reading(pem) { bio in
            ERR_clear_error()
            while let handle = OpenSSLObject(prust_pem_read_certificate(bio), release: X509_free) {
                handles.append(handle)
            }
            return OpenSSLErrors.takeIsEndOfPEM()
        }
        guard !handles.isEmpty, isWhole == true else {
            let place = handles.isEmpty ? "" : " after the first \(handles.count)"
            throw TLSError(
                .notPEM,
                "\(name): expected certificates in PEM (-----BEGIN CERTIFICATE-----), found "
                    + "something else\(place)"
            )
        }
        var result: [Self] = []
        for handle in handles { result.append(try Self(handle: handle)) }
        return result
    }

    package var subject: String { self.details.subject }
    package var issuer: String { self.details.issuer }
    package var commonName: String? { self.details.commonName }
    package var serial: String { self.details.serial }
    package var notBefore: Int64 { self.details.notBefore }
    package var notAfter: Int64 { self.details.notAfter }
    package var uris: [String] { self.details.uris }
    package var dnsNames: [String] { self.details.dnsNames }
    package var ipAddresses: [String] { self.details.ipAddresses }
    package var keyKind: PrivateKey.Kind? { self.details.keyKind }
    package var fingerprint: String { self.details.fingerprint }
    package var isAuthority: Bool { self.details.isAuthority }
    package var identity: PeerIdentity? { self.details.identity }

    package var pem: [UInt8] {
        let handle = self.handle
        return MemoryBIO.written { PEM_write_bio_X509($0, handle.pointer) } ?? []
    }

    /// Whether `issuer` is named as the issuer and its key made the signature.
    package func isSigned(by issuer: Self) -> Bool {
        defer { ERR_clear_error() }
        let issued = X509_check_issued(issuer.handle.pointer, self.handle.pointer)
        guard issued == X509_V_OK else { return false }
        return X509_verify(self.handle.pointer, X509_get0_pubkey(issuer.handle.pointer)) == 1
    }

    /// Whether the certificate is for the public half of `key`.
    package func belongs(to key: PrivateKey) -> Bool {
        defer { ERR_clear_error() }
        return X509_check_private_key(self.handle.pointer, key.handle.pointer) == 1
    }

    /// Writes the certificate to a file that everyone can read.
    package func write(path: String) throws(TLSError) {
        try PrivateFile.write(self.pem, path: path, mode: 0o644)
    }
}

extension Certificate: Equatable {
    package static func == (left: Self, right: Self) -> Bool {
        left.der == right.der
    }
}
