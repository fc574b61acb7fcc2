import Glibc
import PrustCore
import PrustTLS

/// A cluster's certificates for tests.
///
/// OpenSSL compares them with the clock of the machine, so they are made around its present time.
struct TestAuthority {
    static let now = WallTime(milliseconds: Int64(time(nil)) * 1000)
    static let day: Int64 = 86_400

    let authority: CertificateAuthority
    let nodeID: NodeID

    init(name: String = "test CA", kind: PrivateKey.Kind = .p256) throws {
        let lastYear = WallTime(milliseconds: Self.now.milliseconds - 365 * Self.day * 1000)
        self.authority = try CertificateAuthority.create(name: name, kind: kind, now: lastYear)
        self.nodeID = try NodeID.random()
    }

    var pem: [UInt8] { self.authority.certificate.pem }

    struct Credentials {
        let certificate: Certificate
        let key: PrivateKey
    }

    func issue(
        _ profile: CertificateProfile,
        kind: PrivateKey.Kind = .p256,
        startDay: Int64 = 0,
        days: Int64 = 30
    ) throws -> Credentials {
        let key = try PrivateKey.generate(kind)
        let request = try CertificateRequest.make(key: key, identity: .client("whatever"))
        let start = Self.now.milliseconds + startDay * Self.day * 1000
        let certificate = try self.authority.sign(
            CertificateRequest(pem: request.pem),
            profile: profile,
            validitySeconds: days * Self.day,
            now: WallTime(milliseconds: start)
        )
        return Credentials(certificate: certificate, key: key)
    }

    var nodeProfile: CertificateProfile {
        .node(self.nodeID, dnsNames: ["localhost"], ipAddresses: ["127.0.0.1", "::1"])
    }

    /// Material that is checked at the start of the certificate's validity.
    func material(
        _ profile: CertificateProfile,
        kind: PrivateKey.Kind = .p256,
        trust: TestAuthority? = nil,
        startDay: Int64 = 0,
        days: Int64 = 30
    ) throws -> TLSMaterial {
        let credentials = try self.issue(profile, kind: kind, startDay: startDay, days: days)
        let start = Self.now.milliseconds + startDay * Self.day * 1000
        return try TLSMaterial(
            certificatePEM: credentials.certificate.pem,
            keyPEM: credentials.key.pem(),
            caPEM: self.pem + (trust?.pem ?? []),
            role: .any,
            now: WallTime(milliseconds: start)
        )
    }

    func server(
        _ protocols: [String] = ["prust/1", "http/1.1", "resp"],
        clientCertificates: TLSContext.ClientCertificates = .required
    ) throws -> TLSContext {
        try TLSContext.server(
            material: self.material(self.nodeProfile),
            applicationProtocols: protocols,
            clientCertificates: clientCertificates
        )
    }

    func client(_ protocols: [String] = ["resp"], name: String = "alice") throws -> TLSContext {
        try TLSContext.client(
            material: self.material(.client(name)),
            applicationProtocols: protocols
        )
    }

    /// A client that trusts this CA and has no certificate.
    func clientWithoutCertificate(_ protocols: [String] = ["resp"]) throws -> TLSContext {
        try TLSContext.client(
            material: TLSMaterial(trustPEM: self.pem, now: Self.now),
            applicationProtocols: protocols
        )
    }
}
