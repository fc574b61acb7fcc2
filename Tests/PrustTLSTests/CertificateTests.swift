import Glibc
import PrustCore
import PrustTLS
import Testing

@Suite struct CertificateTests {
    @Test(arguments: PrivateKey.Kind.allCases)
    func keysGoThroughPEM(kind: PrivateKey.Kind) throws {
        let key = try PrivateKey.generate(kind)
        #expect(key.kind == kind)
        let pem = try key.pem()
        #expect(String(decoding: pem, as: UTF8.self).hasPrefix("-----BEGIN PRIVATE KEY-----"))
        let again = try PrivateKey(pem: pem)
        #expect(again.kind == kind)
        #expect(try again.pem() == pem)
    }

    @Test(arguments: PrivateKey.Kind.allCases)
    func authoritySignsANode(kind: PrivateKey.Kind) throws {
        let authority = try TestAuthority(kind: kind)
        let ca = authority.authority.certificate
        #expect(ca.isAuthority && ca.isSigned(by: ca))
        #expect(ca.subject == "CN=test CA" && ca.issuer == ca.subject)
        #expect(ca.notAfter - ca.notBefore == 10 * 365 * 86_400 + 300)
        let profile = CertificateProfile.node(
            authority.nodeID,
            dnsNames: ["localhost", "node-1.example.org"],
            ipAddresses: ["127.0.0.1", "::1", "2001:db8::7"]
        )
        let node = try authority.issue(profile, kind: kind, days: 90).certificate
        #expect(node.isSigned(by: ca) && !node.isAuthority)
        #expect(!ca.isSigned(by: node))
        #expect(node.uris == ["prustdb://node/\(authority.nodeID)"])
        #expect(node.dnsNames == ["localhost", "node-1.example.org"])
        #expect(node.ipAddresses == ["127.0.0.1", "::1", "2001:db8::7"])
        #expect(node.identity == .node(authority.nodeID))
        #expect(node.commonName == authority.nodeID.description)
        #expect(node.keyKind == kind)
        #expect(node.serial.count == 32 && node.fingerprint.count == 64)
        #expect(node.notAfter - node.notBefore == 90 * 86_400 + 300)
        #expect(node.notBefore == TestAuthority.now.milliseconds / 1000 - 300)
        #expect(try Certificate(pem: node.pem) == node)
        #expect(try Certificate(der: node.der) == node)
    }

    @Test func otherAuthoritiesDidNotSign() throws {
        let one = try TestAuthority()
        let two = try TestAuthority()
        let certificate = try one.issue(.client("alice")).certificate
        #expect(certificate.isSigned(by: one.authority.certificate))
        #expect(!certificate.isSigned(by: two.authority.certificate))
        #expect(certificate.uris == ["prustdb://client/alice"])
        #expect(certificate.dnsNames.isEmpty && certificate.ipAddresses.isEmpty)
    }

    @Test func serialsDiffer() throws {
        let authority = try TestAuthority()
        let serials = try (0..<20).map { _ in try authority.issue(.client("a")).certificate.serial }
        #expect(Set(serials).count == 20)
    }

    static let badProfiles: [CertificateProfile] = [
        .client(""),
        .client(String(repeating: "a", count: 65)),
        .client("a b"),
        .client("../etc"),
        .client("a\nURI:prustdb://client/admin"),
        .node(NodeID(.zero), dnsNames: [""], ipAddresses: []),
        .node(NodeID(.zero), dnsNames: ["*.example.org"], ipAddresses: []),
        .node(NodeID(.zero), dnsNames: ["a..b"], ipAddresses: []),
        .node(NodeID(.zero), dnsNames: ["-a"], ipAddresses: []),
        .node(NodeID(.zero), dnsNames: ["a,URI:prustdb://client/admin"], ipAddresses: []),
        .node(NodeID(.zero), dnsNames: [String(repeating: "a", count: 64)], ipAddresses: []),
        .node(NodeID(.zero), dnsNames: [], ipAddresses: ["localhost"]),
        .node(NodeID(.zero), dnsNames: [], ipAddresses: ["1.2.3.4.5"]),
        .node(NodeID(.zero), dnsNames: Array(repeating: "a", count: 65), ipAddresses: []),
    ]

    @Test(arguments: badProfiles.indices)
    func badNamesAreNotSigned(index: Int) throws {
        let authority = try TestAuthority()
        #expect {
            try authority.issue(Self.badProfiles[index])
        } throws: { error in
            (error as? TLSError)?.code == .badName
        }
    }

    @Test(arguments: [
        (0, false), (1, true), (30 * 365 * 86_400, true), (30 * 365 * 86_400 + 1, false),
    ])
    func validityIsBounded(seconds: Int, isFine: Bool) throws {
        let ca = try CertificateAuthority.create(name: "ca", now: TestAuthority.now)
        let key = try PrivateKey.generate()
        let request = try CertificateRequest.make(key: key, identity: .client("a"))
        let signed = Result {
            try ca.sign(
                request,
                profile: .client("a"),
                validitySeconds: Int64(seconds),
                now: TestAuthority.now
            )
        }
        switch signed {
        case .success(let certificate):
            #expect(isFine)
            // A leaf does not outlive its CA.
            #expect(certificate.notAfter <= ca.certificate.notAfter)
        case .failure(let error):
            #expect(!isFine)
            #expect((error as? TLSError)?.code == .badParameters)
        }
    }

    @Test func anExpiredAuthoritySignsNothing() throws {
        let ca = try CertificateAuthority.create(name: "ca", now: WallTime(milliseconds: 1_000_000))
        let request = try CertificateRequest.make(key: .generate(), identity: .client("a"))
        #expect {
            try ca.sign(
                request,
                profile: .client("a"),
                validitySeconds: 60,
                now: TestAuthority.now
            )
        } throws: { error in
            (error as? TLSError)
                == TLSError(
                    .certificateExpired,
                    "CA certificate: validity: expired on 1979-12-30"
                )
        }
    }

    @Test func requestsAreProven() throws {
        let key = try PrivateKey.generate()
        let request = try CertificateRequest.make(key: key, identity: .client("alice"))
        #expect(try CertificateRequest(pem: request.pem).keyKind == .p256)
        // Another character in the middle of the Base64 text is another key or signature.
        var rejected = 0
        for index in stride(from: 60, to: request.pem.count - 60, by: 7) {
            var changed = request.pem
            guard changed[index] != 10 else { continue }
            changed[index] = changed[index] == 65 ? 66 : 65
            if changed == request.pem { continue }
            do throws(TLSError) {
                _ = try CertificateRequest(pem: changed)
                Issue.record("changed at \(index) and accepted")
            } catch {
                rejected += 1
            }
        }
        #expect(rejected > 20)
    }

    @Test func anAuthorityIsCheckedWhenItIsPutTogether() throws {
        let one = try TestAuthority()
        let two = try TestAuthority()
        let leaf = try one.issue(.client("alice"))
        let certificate = one.authority.certificate
        _ = try CertificateAuthority(certificate: certificate, key: one.authority.key)
        #expect {
            try CertificateAuthority(certificate: certificate, key: two.authority.key)
        } throws: { error in
            (error as? TLSError)?.code == .keyMismatch
        }
        #expect {
            try CertificateAuthority(certificate: leaf.certificate, key: leaf.key)
        } throws: { error in
            (error as? TLSError)?.code == .notAnAuthority
        }
    }

    @Test(arguments: 0..<200)
    func changedCertificatesNeverTrap(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var der = Self.sample
        for _ in 0..<1 + seed % 4 {
            let index = Int(random.next() % UInt64(der.count))
            der[index] = UInt8(truncatingIfNeeded: random.next())
        }
        if seed % 5 == 0 { der.removeLast(Int(random.next() % UInt64(der.count))) }
        do throws(TLSError) {
            let certificate = try Certificate(der: der)
            _ = certificate.identity
            #expect(!certificate.isSigned(by: certificate))
        } catch {
            #expect(error.code == .notPEM)
        }
    }

    static let sample: [UInt8] = {
        let certificate = try? TestAuthority().issue(
            .node(NodeID(.max), dnsNames: ["localhost"], ipAddresses: ["::1"])
        ).certificate
        return certificate?.der ?? []
    }()
}
