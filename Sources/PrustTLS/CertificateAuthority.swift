internal import COpenSSL
package import PrustCore

/// What a certificate is for; everything in it that matters follows from this.
package enum CertificateProfile: Sendable {
    case node(NodeID, dnsNames: [String], ipAddresses: [String])
    case client(String)

    var identity: PeerIdentity {
        switch self {
        case .node(let id, dnsNames: _, ipAddresses: _): .node(id)
        case .client(let name): .client(name)
        }
    }

    /// Nodes both accept and dial connections.
    var extendedKeyUsage: String {
        switch self {
        case .node: "serverAuth,clientAuth"
        case .client: "clientAuth"
        }
    }
}

/// The cluster's certificate authority: decides who is a node and who is a client.
package struct CertificateAuthority: Sendable {
    package let certificate: Certificate
    package let key: PrivateKey

    /// A clock that is a little behind ours must not refuse a new certificate.
    private static let backdateSeconds: Int64 = 5 * 60
    private static let authoritySeconds: Int64 = 10 * 365 * 86_400
    private static let alternativeNameCountMax = 64
    /// Thirty years, and a present before 5982, so that no date needs five digits.
    private static let validitySecondsMax: Int64 = 30 * 365 * 86_400
    private static let nowSecondsMax: Int64 = 126_600_000_000
    private static let badValidity = TLSError(
        .badParameters,
        "validity: expected 1 second to 30 years, from a present day"
    )

    /// Makes a self-signed CA that is good for ten years and signs leaves only.
    package static func create(
        name: String,
        kind: PrivateKey.Kind = .p256,
        now: WallTime
    ) throws(TLSError) -> Self {
        guard (1...Limits.nameByteCountMax).contains(name.utf8.count) else {
            throw TLSError(
                .badName,
                "CA name: expected 1 to \(Limits.nameByteCountMax) bytes"
            )
        }
        let key = try PrivateKey.generate(kind)
        let handle = try Self.draft(validitySeconds: Self.authoritySeconds, now: now)
        let x509 = handle.pointer
        guard X509CommonName.set(name, of: X509_get_subject_name(x509)),
            X509_set_issuer_name(x509, X509_get_subject_name(x509)) == 1,
            X509_set_pubkey(x509, key.handle.pointer) == 1,
            prust_add_extension(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
                == 1,
            prust_add_extension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign") == 1,
            prust_add_extension(x509, x509, NID_subject_key_identifier, "hash") == 1,
            prust_add_extension(x509, x509, NID_authority_key_identifier, "keyid:always") == 1
        else { throw .library("certificate of the CA") }
        try Self.sign(handle, key: key)
        return try Self(certificate: Certificate(handle: handle), key: key)
    }

    /// Puts a CA together from its parts, which must belong together.
    package init(certificate: Certificate, key: PrivateKey) throws(TLSError) {
        guard certificate.isAuthority else {
            throw TLSError(
                .notAnAuthority,
                "CA certificate: basic constraints: expected a CA, found a certificate that may "
                    + "not sign others"
            )
        }
        guard certificate.belongs(to: key) else {
            throw TLSError(.keyMismatch, "CA key: does not belong to the CA certificate")
        }
        self.certificate = certificate
        self.key = key
    }

    /// Reads the two files of a CA; the key's must be for its owner alone.
    package static func load(
        certificateFile: String,
        keyFile: String
    ) throws(TLSError) -> Self {
        let bound = Limits.pemByteCountMax
        let certificate = try PrivateFile.read(path: certificateFile, byteCountMax: bound)
        let key = try PrivateFile.readSecret(path: keyFile, byteCountMax: bound)
        return try Self(
            certificate: Certificate(pem: certificate, name: certificateFile),
            key: PrivateKey(pem: key, name: keyFile)
        )
    }

    /// Signs a certificate for the key of a request; all else comes from the profile.
    package func sign(
        _ request: CertificateRequest,
        profile: CertificateProfile,
        validitySeconds: Int64,
        now: WallTime
    ) throws(TLSError) -> Certificate {
        let identity = profile.identity
        guard PeerIdentity(uri: identity.uri) == identity else {
            throw TLSError(
                .badName,
                "client name: expected 1 to \(Limits.nameByteCountMax) of A-Z a-z 0-9 . _ -"
            )
        }
        let seconds = now.milliseconds / 1000
        guard self.certificate.notAfter > seconds else {
            throw TLSError(
                .certificateExpired,
                "CA certificate: validity: expired on "
                    + DateText.day(ofUnixSeconds: self.certificate.notAfter)
            )
        }
        // A leaf that outlives its CA would only look valid.
        let remaining = self.certificate.notAfter - seconds
        guard validitySeconds <= Self.validitySecondsMax else { throw Self.badValidity }
        let handle = try Self.draft(validitySeconds: min(validitySeconds, remaining), now: now)
        let x509 = handle.pointer
        let issuer = self.certificate.handle.pointer
        guard X509CommonName.set(identity.commonName, of: X509_get_subject_name(x509)),
            X509_set_issuer_name(x509, X509_get_subject_name(issuer)) == 1,
            X509_set_pubkey(x509, X509_REQ_get0_pubkey(request.handle.pointer)) == 1,
            prust_add_extension(x509, issuer, NID_basic_constraints, "critical,CA:FALSE") == 1,
            prust_add_extension(x509, issuer, NID_key_usage, "critical,digitalSignature") == 1,
            prust_add_extension(x509, issuer, NID_ext_key_usage, profile.extendedKeyUsage) == 1,
            prust_add_extension(x509, issuer, NID_subject_key_identifier, "hash") == 1,
            prust_add_extension(x509, issuer, NID_authority_key_identifier, "keyid:always") == 1
        else { throw .library("certificate") }
        try Self.addAlternativeNames(of: profile, to: x509)
        try Self.sign(handle, key: self.key)
        return try Certificate(handle: handle)
    }

    /// A certificate with a version, a serial number and a validity.
    private static func draft(
        validitySeconds: Int64,
        now: WallTime
    ) throws(TLSError) -> OpenSSLObject {
        guard (1...Self.validitySecondsMax).contains(validitySeconds),
            (0...Self.nowSecondsMax).contains(now.milliseconds / 1000)
        else { throw Self.badValidity }
        let seconds = now.milliseconds / 1000
        guard let handle = OpenSSLObject(X509_new(), release: X509_free),
            X509_set_version(handle.pointer, 2) == 1,
            ASN1_TIME_set(X509_getm_notBefore(handle.pointer), Int(seconds - Self.backdateSeconds))
                != nil,
            ASN1_TIME_set(X509_getm_notAfter(handle.pointer), Int(seconds + validitySeconds)) != nil
        else { throw .library("certificate") }
        // 127 random bits after a one: always positive, always 16 bytes.
        var serial = try Crypto.randomBytes(16)
        serial[0] = serial[0] & 0x7f | 0x40
        guard let number = BN_bin2bn(serial, Int32(serial.count), nil) else {
            throw .library("serial number")
        }
        defer { BN_free(number) }
        guard BN_to_ASN1_INTEGER(number, X509_get_serialNumber(handle.pointer)) != nil else {
            throw .library("serial number")
        }
        return handle
    }

    private static func sign(_ handle: OpenSSLObject, key: PrivateKey) throws(TLSError) {
        let digest = key.kind == .ed25519 ? nil : EVP_sha256()
        guard X509_sign(handle.pointer, key.handle.pointer, digest) > 0 else {
            throw .library("signature")
        }
    }

    private static func addAlternativeNames(
        of profile: CertificateProfile,
        to x509: OpaquePointer
    ) throws(TLSError) {
        guard let names = prust_san_new() else { throw .library("subject alternative names") }
        defer { GENERAL_NAMES_free(names) }
        try Self.add(Array(profile.identity.uri.utf8), kind: GEN_URI, to: names)
        if case .node(_, let dnsNames, let ipAddresses) = profile {
            guard dnsNames.count + ipAddresses.count <= Self.alternativeNameCountMax else {
                throw TLSError(
                    .badName,
                    "subject alternative names: expected at most \(Self.alternativeNameCountMax)"
                )
            }
            for name in dnsNames {
                guard Self.isHostName(name) else {
                    throw TLSError(
                        .badName,
                        "DNS name: expected labels of A-Z a-z 0-9 - _ with dots between them"
                    )
                }
                try Self.add(Array(name.utf8), kind: GEN_DNS, to: names)
            }
            for address in ipAddresses {
                guard let bytes = IPAddress.bytes(of: address) else {
                    throw TLSError(.badName, "IP address: expected an IPv4 or IPv6 address")
                }
                try Self.add(bytes, kind: GEN_IPADD, to: names)
            }
        }
        guard prust_set_san(x509, names) == 1 else { throw .library("subject alternative names") }
    }

    private static func add(
        _ bytes: [UInt8],
        kind: Int32,
        to names: OpaquePointer
    ) throws(TLSError) {
        guard let count = Int32(exactly: bytes.count), prust_san_add(names, kind, bytes, count) == 1
        else { throw .library("subject alternative names") }
    }

    private static func isHostName(_ name: String) -> Bool {
        guard (1...253).contains(name.utf8.count) else { return false }
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        return labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                && PeerIdentity.isValidName(String(label))
        }
    }
}
