import FoundationEssentials
import PrustCore
import PrustTLS

/// Certificates, certificate requests and private keys.
///
/// The first byte chooses what the others are: PEM as it stands, or DER that is wrapped in PEM, so
/// that mutations reach the inside. Properties: what is accepted is written and read again as the
/// same; an identity is the one in its URI; a chain and a key that do not belong to each other, or
/// to the CA, are refused; and errors are one line.
package func fuzzCertificate(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    let kind = input.byte()
    let rest = input.rest()
    switch kind % 8 {
    case 0: CertificateCheck.certificates(rest)
    case 1: CertificateCheck.certificates(CertificateCheck.pem(rest, "CERTIFICATE"))
    case 2: CertificateCheck.der(rest)
    case 3: CertificateCheck.request(rest)
    case 4: CertificateCheck.request(CertificateCheck.pem(rest, "CERTIFICATE REQUEST"))
    case 5: CertificateCheck.key(rest)
    case 6: CertificateCheck.key(CertificateCheck.pem(rest, "PRIVATE KEY"))
    default: CertificateCheck.material(rest)
    }
}

private enum CertificateCheck {
    static let now = WallTime(milliseconds: 1_893_456_000_000)

    static func pem(_ der: [UInt8], _ label: String) -> [UInt8] {
        let text = Data(der).base64EncodedString(options: [.lineLength64Characters])
        let lines = text.replacing("\r\n", with: "\n")
        return Array("-----BEGIN \(label)-----\n\(lines)\n-----END \(label)-----\n".utf8)
    }

    private static func attempt<Result>(_ body: () throws(TLSError) -> Result) -> Result? {
        do throws(TLSError) {
            return try body()
        } catch {
            check(!error.message.isEmpty, "an error without words")
            checkIsOneLine(error.message)
            return nil
        }
    }

    static func certificates(_ pem: [UInt8]) {
        let all = Self.attempt { () throws(TLSError) in
            try Certificate.parseAll(pem: pem, name: "input")
        }
        let one = Self.attempt { () throws(TLSError) in try Certificate(pem: pem) }
        check((one != nil) == (all?.count == 1), "one of \(all?.count ?? 0)")
        for certificate in all ?? [] { Self.checkCertificate(certificate) }
    }

    static func der(_ der: [UInt8]) {
        let certificate = Self.attempt { () throws(TLSError) in try Certificate(der: der) }
        if let certificate { Self.checkCertificate(certificate) }
    }

    private static func checkCertificate(_ certificate: Certificate) {
        let again = Self.attempt { () throws(TLSError) in
            try Certificate(pem: certificate.pem)
        }
        check(again == certificate, "another certificate after writing")
        check(again?.details == certificate.details, "other details after writing")
        check(certificate.fingerprint.utf8.count == 64, "fingerprint \(certificate.fingerprint)")
        checkIsOneLine("\(certificate.subject), \(certificate.issuer), \(certificate.serial)")
        let ours = certificate.uris.filter { $0.hasPrefix("prustdb:") }
        if let identity = certificate.identity {
            check(ours == [identity.uri], "identity \(identity) from \(ours)")
            checkIsOneLine("\(identity)")
        }
        _ = certificate.isSigned(by: certificate)
        // The authority's key did not make the signature of what a fuzzer made.
        if let authority = Self.authority, certificate != authority {
            let isKnown = Self.known.contains(certificate.fingerprint)
            check(!certificate.isSigned(by: authority) || isKnown, "a forged signature")
        }
    }

    static func request(_ pem: [UInt8]) {
        let request = Self.attempt { () throws(TLSError) in try CertificateRequest(pem: pem) }
        guard let request else { return }
        let again = Self.attempt { () throws(TLSError) in
            try CertificateRequest(pem: request.pem)
        }
        check(again?.keyKind == request.keyKind, "another request after writing")
    }

    static func key(_ pem: [UInt8]) {
        guard let key = Self.attempt({ () throws(TLSError) in try PrivateKey(pem: pem) }) else {
            return
        }
        let written = Self.attempt { () throws(TLSError) in try key.pem() }
        guard let written else { return check(false, "an accepted key cannot be written") }
        let again = Self.attempt { () throws(TLSError) in try PrivateKey(pem: written) }
        check(again?.kind == key.kind, "another key after writing")
    }

    /// The parts of what a node loads, one of them from the input.
    static func material(_ bytes: [UInt8]) {
        var input = FuzzInput(UnsafeRawBufferPointer(start: nil, count: 0))
        var parts = [Array(Self.nodePEM.utf8), Array(Self.keyPEM.utf8), Array(Self.caPEM.utf8)]
        bytes.withUnsafeBytes { buffer in
            input = FuzzInput(buffer)
            let shape = input.byte()
            let part = Int(shape) % parts.count
            let rest = input.rest()
            let label = part == 1 ? "PRIVATE KEY" : "CERTIFICATE"
            let changed = shape & 64 == 0 ? rest : Self.pem(rest, label)
            parts[part] = shape & 128 == 0 ? changed : parts[part] + changed
        }
        let material = Self.attempt { () throws(TLSError) in
            try TLSMaterial(
                certificatePEM: parts[0],
                keyPEM: parts[1],
                caPEM: parts[2],
                role: .node,
                now: Self.now
            )
        }
        guard let material else { return }
        guard case .node = material.identity else {
            return check(false, "a node without an identity of one")
        }
        check(material.certificate?.fingerprint == Self.known.first, "a certificate of others")
    }

    private static let authority = try? Certificate(pem: Array(Self.caPEM.utf8))
    /// Fingerprints of what the authority signed: the node below, and those in the corpus.
    private static let known = [
        "01728e51b3afaeb7b34536fcfaf09be746747a69825ea54aa4ceeeffea4c8dc1",
        "257882258138713604c7063d76bf0c4fb6b129dd9e15ef05dec6cee0a9ed89f2",
        "2c8be1648d4b058af087010fe0d868b46d2e07feeb4584ca3b5efa3746b8ca5f",
        "76bc615f8b763852b5d912930054e28507aa4165906d73bcdda56a0b7bdf1087",
    ]

    // Made for these tests alone; the key of the authority was thrown away.
    private static let caPEM = """
        -----BEGIN CERTIFICATE-----
        MIIBiDCCAS6gAwIBAgIUMJ1dyJ47Vb5U39nFhKM204PQfWEwCgYIKoZIzj0EAwIw
        DzENMAsGA1UEAwwEZnV6ejAgFw0yNjExMjIxODEwNTBaGA8yMTI2MTAyOTE4MTA1
        MFowDzENMAsGA1UEAwwEZnV6ejBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKE+
        43yV5a+s2dUm6kr7g0AxnS3xt+VA9h4GhqvjR78+lhKBWH5wTOvrpiWyLEksEO8y
        mcjtot1hJgbO5vX3TqWjZjBkMB0GA1UdDgQWBBT7TtLmka9+i21M7y7Em+8pQx3e
        FzAfBgNVHSMEGDAWgBT7TtLmka9+i21M7y7Em+8pQx3eFzASBgNVHRMBAf8ECDAG
        AQH/AgEAMA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQDAgNIADBFAiEAorbHD7N0
        ySf0VQeUmkAZLeKBB/ics9wcGFxpLo9VT0UCIEP1XRwTMuvQXFyesqYZALxOrsUo
        YFqciAU288u36MU1
        -----END CERTIFICATE-----
        """
    private static let nodePEM = """
        -----BEGIN CERTIFICATE-----
        MIICIzCCAcigAwIBAgIUZHxRLHcBTyYGtXBY4nJMEwg5AvQwCgYIKoZIzj0EAwIw
        DzENMAsGA1UEAwwEZnV6ejAgFw0yNjExMjIxODEwNTBaGA8yMTI1MDYxNjE4MTA1
        MFowDzENMAsGA1UEAwwEbm9kZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEm4
        cV8+Y5cf1EO1ycTpDwpdChtfAZp2lxGjJrTielEKaC8LPB7xHusvgi56eunaZwmS
        A31LZq/k7CM0YrzZx32jgf8wgfwwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMC
        B4AwHQYDVR0lBBYwFAYIKwYBBQUHAwEGCCsGAQUFBwMCMH0GA1UdEQR2MHSGT3By
        dXN0ZGI6Ly9ub2RlL2FiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJh
        YmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWKCCWxvY2FsaG9zdIcEfwAAAYcQ
        AAAAAAAAAAAAAAAAAAAAATAdBgNVHQ4EFgQUFLe37mYkGES0KGE8VQtv2Ra83kQw
        HwYDVR0jBBgwFoAU+07S5pGvfottTO8uxJvvKUMd3hcwCgYIKoZIzj0EAwIDSQAw
        RgIhAKigmmHWvVKkKLeELsjJqO1lUFZsPknRfs0CnRN0DROhAiEAvBrsBIm+HUCH
        yI3aD+y8Meyp5YTkl0lJe8Xmerzlmu8=
        -----END CERTIFICATE-----
        """
    private static let keyPEM = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgTdV3PUwHUychPVbg
        +g+UJxGP3VadsVQWxNjlM0V4F/OhRANCAARJuHFfPmOXH9RDtcnE6Q8KXQobXwGa
        dpcRoya04npRCmgvCzwe8R7rL4Iuenrp2mcJkgN9S2av5OwjNGK82cd9
        -----END PRIVATE KEY-----
        """
}
