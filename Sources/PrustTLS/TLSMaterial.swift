internal import COpenSSL
package import PrustCore

/// A certificate chain with its private key, and the CAs to trust: read, checked, ready for use.
///
/// Every check names the file, the field and what was expected, because this is where operators
/// lose their time.
package struct TLSMaterial: Sendable {
    /// What the certificate must say about its owner.
    package enum Role: Sendable {
        case node
        case client
        case any
    }

    /// What messages call the three parts when they do not come from files.
    package struct Names: Sendable {
        package var certificate: String
        package var key: String
        package var authorities: String

        package init(
            certificate: String = "certificate",
            key: String = "private key",
            authorities: String = "CA bundle"
        ) {
            self.certificate = certificate
            self.key = key
            self.authorities = authorities
        }
    }

    /// The leaf first; empty for a client that has no certificate.
    package let chain: [Certificate]
    package let privateKey: PrivateKey?
    package let authorities: [Certificate]

    package var certificate: Certificate? { self.chain.first }
    package var identity: PeerIdentity? { self.certificate?.identity }

    /// Reads and checks three files.
    package static func load(
        certificateFile: String,
        keyFile: String,
        caFile: String,
        role: Role,
        now: WallTime
    ) throws(TLSError) -> Self {
        let bound = Limits.pemByteCountMax
        return try Self(
            certificatePEM: PrivateFile.read(path: certificateFile, byteCountMax: bound),
            keyPEM: PrivateFile.readSecret(path: keyFile, byteCountMax: bound),
            caPEM: PrivateFile.read(path: caFile, byteCountMax: bound),
            role: role,
            now: now,
            names: Names(certificate: certificateFile, key: keyFile, authorities: caFile)
        )
    }

    /// Reads and checks the CA bundle of a client that has no certificate.
    package static func loadTrust(caFile: String, now: WallTime) throws(TLSError) -> Self {
        let bytes = try PrivateFile.read(path: caFile, byteCountMax: Limits.pemByteCountMax)
        return try Self(trustPEM: bytes, now: now, name: caFile)
    }

    /// Checks the three parts, and that they belong together.
    package init(
        certificatePEM: [UInt8],
        keyPEM: [UInt8],
        caPEM: [UInt8],
        role: Role,
        now: WallTime,
        names: Names = Names()
    ) throws(TLSError) {
        let chain = try Certificate.parseAll(pem: certificatePEM, name: names.certificate)
        let key = try PrivateKey(pem: keyPEM, name: names.key)
        let authorities = try Certificate.parseAll(pem: caPEM, name: names.authorities)
        try Self.checkTrust(authorities, now: now, name: names.authorities)
        guard let leaf = chain.first else {
            throw TLSError(.notPEM, "\(names.certificate): expected a certificate, found none")
        }
        guard leaf.keyKind != nil else {
            throw TLSError(
                .wrongKeyType,
                "\(names.certificate): key type: expected \(PrivateKey.Kind.expected)"
            )
        }
        try Self.checkValidity(of: leaf, now: now, name: names.certificate)
        guard leaf.belongs(to: key) else {
            throw TLSError(
                .keyMismatch,
                "\(names.key): does not belong to the certificate in \(names.certificate): "
                    + "expected the key that the certificate was made for"
            )
        }
        try Self.checkSignature(of: chain, by: authorities, now: now, names: names)
        try Self.checkIdentity(of: leaf, role: role, name: names.certificate)
        self.chain = chain
        self.privateKey = key
        self.authorities = authorities
    }

    /// Checks a CA bundle that stands alone.
    package init(
        trustPEM: [UInt8],
        now: WallTime,
        name: String = "CA bundle"
    ) throws(TLSError) {
        let authorities = try Certificate.parseAll(pem: trustPEM, name: name)
        try Self.checkTrust(authorities, now: now, name: name)
        self.chain = []
        self.privateKey = nil
        self.authorities = authorities
    }

    private static func checkTrust(
        _ authorities: [Certificate],
        now: WallTime,
        name: String
    ) throws(TLSError) {
        for authority in authorities where !authority.isAuthority {
            throw TLSError(
                .notAnAuthority,
                "\(name): basic constraints: expected CA certificates only, found "
                    + "\(authority.subject)"
            )
        }
        // During a rotation the old CA may run out while the new one is there.
        let seconds = now.milliseconds / 1000
        let isUsable = authorities.contains { $0.notBefore <= seconds && seconds < $0.notAfter }
        if !isUsable, let first = authorities.first {
            try Self.checkValidity(of: first, now: now, name: name)
        }
    }

    private static func checkValidity(
        of certificate: Certificate,
        now: WallTime,
        name: String
    ) throws(TLSError) {
        let seconds = now.milliseconds / 1000
        if seconds >= certificate.notAfter {
            throw TLSError(
                .certificateExpired,
                "\(name): validity: expired on \(DateText.day(ofUnixSeconds: certificate.notAfter))"
            )
        }
        if seconds < certificate.notBefore {
            let day = DateText.day(ofUnixSeconds: certificate.notBefore)
            throw TLSError(
                .certificateNotYetValid,
                "\(name): validity: not valid before \(day); is the clock of this machine right?"
            )
        }
    }

    private static func checkSignature(
        of chain: [Certificate],
        by authorities: [Certificate],
        now: WallTime,
        names: Names
    ) throws(TLSError) {
        guard let leaf = chain.first, let store = X509_STORE_new(),
            let untrusted = prust_stack_new()
        else { throw .library("certificate store") }
        defer {
            X509_STORE_free(store)
            OPENSSL_sk_free(untrusted)
            ERR_clear_error()
        }
        for authority in authorities {
            guard X509_STORE_add_cert(store, authority.handle.pointer) == 1 else {
                throw .library("certificate store")
            }
        }
        for certificate in chain.dropFirst() {
            guard prust_stack_push(untrusted, certificate.handle.pointer) > 0 else {
                throw .library("certificate chain")
            }
        }
        var depth: Int32 = 0
        let seconds = now.milliseconds / 1000
        let result = prust_verify_chain_of(store, leaf.handle.pointer, untrusted, seconds, &depth)
        guard result != X509_V_OK else { return }
        if VerifyFailure.isUnknownAuthority(result) {
            throw TLSError(
                .notSignedByAuthority,
                "\(names.certificate): issuer: expected a CA of \(names.authorities), found "
                    + leaf.issuer
            )
        }
        let reason = String(cString: X509_verify_cert_error_string(Int(result)))
        throw TLSError(
            .notSignedByAuthority,
            "\(names.certificate): chain: certificate \(depth + 1): \(reason)"
        )
    }

    private static func checkIdentity(
        of leaf: Certificate,
        role: Role,
        name: String
    ) throws(TLSError) {
        let expected: String
        switch (role, leaf.identity) {
        case (.any, _), (.node, .node), (.client, .client):
            return
        case (.node, _):
            expected = "one URI prustdb://node/<64 hex digits>"
        case (.client, _):
            expected = "one URI prustdb://client/<name>"
        }
        let found =
            leaf.uris.map { "URI:\($0)" } + leaf.dnsNames.map { "DNS:\($0)" }
            + leaf.ipAddresses.map { "IP:\($0)" }
        throw TLSError(
            .wrongSubjectAlternativeName,
            "\(name): subject alternative name: expected \(expected), found "
                + (found.isEmpty ? "none" : found.joined(separator: ", "))
        )
    }
}

/// Reasons for which a chain of certificates is refused.
enum VerifyFailure {
    static func isUnknownAuthority(_ reason: Int32) -> Bool {
        switch reason {
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
            X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_CERT_SIGNATURE_FAILURE,
            X509_V_ERR_CERT_UNTRUSTED,
            X509_V_ERR_INVALID_CA:
            true
        default:
            false
        }
    }
}
