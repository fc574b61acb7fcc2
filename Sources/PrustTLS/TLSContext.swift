internal import COpenSSL
internal import Glibc
internal import PrustCore
internal import Synchronization

/// One side's certificate, trust and protocols: what every connection of that side starts from.
///
/// `SSL_CTX` is made for this: once it is configured, connections may be made from it on any
/// thread. A new context has new ticket keys, so sessions do not outlive the trust they rest on.
package final class TLSContext: @unchecked Sendable {  // tidy:allow SSL_CTX is thread-safe
    package enum ClientCertificates: Sendable {
        case none
        case optional
        case required
    }

    package let material: TLSMaterial
    package let applicationProtocols: [String]
    let isServer: Bool
    let pointer: OpaquePointer
    /// `BIO_METHOD` of ``TLSConnection``.
    let method: OpaquePointer
    private let protocols: UnsafeMutableRawPointer?
    private let sessions = Mutex<[TLSPeerExpectation: OpenSSLObject]>([:])

    private static let sessionCountMax = 256
    private static let protocolCountMax = 16

    /// Makes the side that accepts connections.
    ///
    /// `applicationProtocols` is in the order of preference; a client that offers none is taken.
    package static func server(
        material: TLSMaterial,
        applicationProtocols: [String],
        clientCertificates: ClientCertificates
    ) throws(TLSError) -> TLSContext {
        guard material.certificate != nil else {
            throw TLSError(.badParameters, "TLS server: expected a certificate and its key")
        }
        let context = try TLSContext(
            material: material,
            applicationProtocols: applicationProtocols,
            isServer: true
        )
        switch clientCertificates {
        case .none:
            prust_ctx_set_verify(context.pointer, SSL_VERIFY_NONE)
        case .optional:
            prust_ctx_set_verify(context.pointer, SSL_VERIFY_PEER)
        case .required:
            let mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
            prust_ctx_set_verify(context.pointer, mode)
        }
        return context
    }

    /// Makes the side that dials; it keeps the servers' sessions and offers them again.
    package static func client(
        material: TLSMaterial,
        applicationProtocols: [String]
    ) throws(TLSError) -> TLSContext {
        let context = try TLSContext(
            material: material,
            applicationProtocols: applicationProtocols,
            isServer: false
        )
        prust_ctx_set_verify(context.pointer, SSL_VERIFY_PEER)
        return context
    }

    private init(
        material: TLSMaterial,
        applicationProtocols: [String],
        isServer: Bool
    ) throws(TLSError) {
        let list = try Self.encode(applicationProtocols)
        guard let pointer = SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method()) else {
            throw .library("TLS context")
        }
        guard let method = prust_bio_method_new() else {
            SSL_CTX_free(pointer)
            throw .library("TLS context")
        }
        self.pointer = pointer
        self.method = method
        self.material = material
        self.applicationProtocols = applicationProtocols
        self.isServer = isServer
        if isServer, !list.isEmpty {
            guard let protocols = prust_protocols_new(list, list.count) else {
                SSL_CTX_free(pointer)
                BIO_meth_free(method)
                throw .library("application protocols")
            }
            self.protocols = UnsafeMutableRawPointer(protocols)
            SSL_CTX_set_alpn_select_cb(pointer, prust_select_protocol, self.protocols)
        } else {
            self.protocols = nil
            if !list.isEmpty { SSL_CTX_set_alpn_protos(pointer, list, UInt32(list.count)) }
        }
        guard prust_ctx_configure(pointer, isServer) == 1 else { throw .library("TLS context") }
        try self.install(material)
    }

    deinit {
        SSL_CTX_free(self.pointer)
        BIO_meth_free(self.method)
        free(self.protocols)
    }

    private func install(_ material: TLSMaterial) throws(TLSError) {
        defer { ERR_clear_error() }
        let store = SSL_CTX_get_cert_store(self.pointer)
        for authority in material.authorities {
            guard X509_STORE_add_cert(store, authority.handle.pointer) == 1 else {
                throw .library("CA certificate")
            }
        }
        guard let leaf = material.certificate, let key = material.privateKey else { return }
        guard SSL_CTX_use_certificate(self.pointer, leaf.handle.pointer) == 1 else {
            throw .library("certificate")
        }
        for certificate in material.chain.dropFirst() {
            guard prust_ctx_add_chain(self.pointer, certificate.handle.pointer) == 1 else {
                throw .library("certificate chain")
            }
        }
        guard SSL_CTX_use_PrivateKey(self.pointer, key.handle.pointer) == 1 else {
            throw .library("private key")
        }
    }

    /// Application protocols as RFC 7301 writes them: each with its length before it.
    private static func encode(_ protocols: [String]) throws(TLSError) -> [UInt8] {
        var list: [UInt8] = []
        for name in protocols {
            guard let count = UInt8(exactly: name.utf8.count), count > 0 else {
                throw TLSError(.badParameters, "application protocol: expected 1 to 255 bytes")
            }
            list.append(count)
            list.append(contentsOf: name.utf8)
        }
        guard protocols.count <= Self.protocolCountMax else {
            throw TLSError(
                .badParameters,
                "application protocols: expected at most \(Self.protocolCountMax)"
            )
        }
        return list
    }

    /// The session to offer to a server from which `expectation` is expected.
    ///
    /// Sessions are kept by expectation, because a resumed session is not verified again.
    func session(for expectation: TLSPeerExpectation) -> OpenSSLObject? {
        self.sessions.withLock { sessions in
            guard let session = sessions[expectation] else { return nil }
            guard SSL_SESSION_is_resumable(session.pointer) == 1,
                let peer = SSL_SESSION_get0_peer(session.pointer), prust_is_valid_now(peer) == 1
            else {
                sessions[expectation] = nil
                return nil
            }
            return session
        }
    }

    func keep(_ session: OpenSSLObject, for expectation: TLSPeerExpectation) {
        self.sessions.withLock { sessions in
            if sessions.count >= Self.sessionCountMax, sessions[expectation] == nil {
                sessions.removeAll(keepingCapacity: true)
            }
            sessions[expectation] = session
        }
    }

    func forgetSession(for expectation: TLSPeerExpectation) {
        self.sessions.withLock { $0[expectation] = nil }
    }
}
