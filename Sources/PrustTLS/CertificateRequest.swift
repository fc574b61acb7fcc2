internal import COpenSSL
internal import PrustCore

/// A request to a CA: a public key and the proof that the sender has its private half.
///
/// Nothing else of a request is used: names and extensions are decided by the CA.
package struct CertificateRequest: Sendable {
    package let pem: [UInt8]
    package let keyKind: PrivateKey.Kind
    let handle: OpenSSLObject

    /// Makes a request; the identity is only a label for the people who look at it.
    package static func make(
        key: PrivateKey,
        identity: PeerIdentity
    ) throws(TLSError) -> Self {
        guard let handle = OpenSSLObject(X509_REQ_new(), release: X509_REQ_free) else {
            throw .library("certificate request")
        }
        let request = handle.pointer
        let digest = key.kind == .ed25519 ? nil : EVP_sha256()
        guard X509_REQ_set_version(request, 0) == 1,
            X509CommonName.set(identity.commonName, of: X509_REQ_get_subject_name(request)),
            X509_REQ_set_pubkey(request, key.handle.pointer) == 1,
            X509_REQ_sign(request, key.handle.pointer, digest) > 0,
            let pem = MemoryBIO.written(by: { PEM_write_bio_X509_REQ($0, handle.pointer) })
        else { throw .library("certificate request") }
        return Self(pem: pem, keyKind: key.kind, handle: handle)
    }

    private init(pem: [UInt8], keyKind: PrivateKey.Kind, handle: OpenSSLObject) {
        self.pem = pem
        self.keyKind = keyKind
        self.handle = handle
    }

    /// Reads a request and checks its signature and the kind of its key.
    package init(pem: [UInt8], name: String = "certificate request") throws(TLSError) {
        guard pem.count <= Limits.pemByteCountMax else {
            throw TLSError(
                .fileTooLarge,
                "\(name): size: expected at most \(Limits.pemByteCountMax) bytes"
            )
        }
        let pointer = MemoryBIO.reading(pem) { prust_pem_read_request($0) }
        guard let handle = OpenSSLObject(pointer, release: X509_REQ_free) else {
            ERR_clear_error()
            throw TLSError(
                .notPEM,
                "\(name): expected a request in PEM (-----BEGIN CERTIFICATE REQUEST-----)"
            )
        }
        defer { ERR_clear_error() }
        let key = X509_REQ_get0_pubkey(handle.pointer)
        guard let kind = PrivateKey.Kind(key: key) else {
            throw TLSError(.wrongKeyType, "\(name): key type: expected \(PrivateKey.Kind.expected)")
        }
        guard X509_REQ_verify(handle.pointer, key) == 1 else {
            throw TLSError(.badRequest, "\(name): signature: not made by the key in the request")
        }
        self.init(pem: pem, keyKind: kind, handle: handle)
    }
}

extension PeerIdentity {
    /// What certificates carry as common name, which only people look at.
    var commonName: String {
        switch self {
        case .node(let id): id.description
        case .client(let name): name
        }
    }
}

/// The common name of a distinguished name.
enum X509CommonName {
    static func set(_ text: String, of name: OpaquePointer?) -> Bool {
        let bytes = Array(text.utf8)
        guard let count = Int32(exactly: bytes.count) else { return false }
        return prust_set_common_name(name, bytes, count) == 1
    }
}
