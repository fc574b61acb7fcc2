import Glibc
import PrustCore
import PrustTLS
import Testing

@Suite struct MaterialTests {
    /// A directory of its own, gone with the test.
    final class Directory {
        let path: String

        init() throws {
            self.path = "/tmp/prust-tls-\(getpid())-" + Hex.encode(try Crypto.randomBytes(6))
            mkdir(self.path, 0o700)
        }

        deinit {
            for name in Self.names(self.path) { unlink("\(self.path)/\(name)") }
            rmdir(self.path)
        }

        static func names(_ path: String) -> [String] {
            guard let directory = opendir(path) else { return [] }
            defer { closedir(directory) }
            var result: [String] = []
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                        String(cString: $0)
                    }
                }
                if name != "." && name != ".." { result.append(name) }
            }
            return result.sorted()
        }

        func mode(_ name: String) -> UInt32 {
            var status = stat()
            return stat("\(self.path)/\(name)", &status) == 0 ? status.st_mode & 0o7777 : 0
        }
    }

    @Test func filesAreWrittenWithTheirModes() throws {
        let directory = try Directory()
        let old = umask(0o077)
        defer { umask(old) }
        let authority = try TestAuthority()
        let node = try authority.issue(authority.nodeProfile)
        try node.key.write(path: "\(directory.path)/node.key")
        try node.certificate.write(path: "\(directory.path)/node.crt")
        try authority.authority.certificate.write(path: "\(directory.path)/ca.crt")
        #expect(directory.mode("node.key") == 0o600)
        #expect(directory.mode("node.crt") == 0o644)
        // A second time replaces; nothing temporary stays.
        try node.key.write(path: "\(directory.path)/node.key")
        #expect(Directory.names(directory.path) == ["ca.crt", "node.crt", "node.key"])
        let material = try TLSMaterial.load(
            certificateFile: "\(directory.path)/node.crt",
            keyFile: "\(directory.path)/node.key",
            caFile: "\(directory.path)/ca.crt",
            role: .node,
            now: TestAuthority.now
        )
        #expect(material.identity == .node(authority.nodeID))
        #expect(material.certificate == node.certificate)
        let trust = try TLSMaterial.loadTrust(
            caFile: "\(directory.path)/ca.crt",
            now: TestAuthority.now
        )
        #expect(trust.authorities == [authority.authority.certificate])
        #expect(trust.identity == nil)
    }

    @Test func anAuthorityIsReadFromItsFiles() throws {
        let directory = try Directory()
        let authority = try TestAuthority().authority
        let key = "\(directory.path)/ca.key"
        let certificate = "\(directory.path)/ca.crt"
        try authority.key.write(path: key)
        try authority.certificate.write(path: certificate)
        let loaded = try CertificateAuthority.load(certificateFile: certificate, keyFile: key)
        #expect(loaded.certificate == authority.certificate)
        chmod(key, 0o644)
        #expect {
            try CertificateAuthority.load(certificateFile: certificate, keyFile: key)
        } throws: { error in
            (error as? TLSError)?.code == .filePermissions
        }
    }

    @Test(arguments: [0o640, 0o604, 0o660, 0o601, 0o644])
    func readableKeysAreRefused(mode: Int) throws {
        let directory = try Directory()
        let authority = try TestAuthority()
        let node = try authority.issue(authority.nodeProfile)
        let key = "\(directory.path)/node.key"
        try node.key.write(path: key)
        try node.certificate.write(path: "\(directory.path)/node.crt")
        try authority.authority.certificate.write(path: "\(directory.path)/ca.crt")
        chmod(key, mode_t(mode))
        #expect {
            try TLSMaterial.load(
                certificateFile: "\(directory.path)/node.crt",
                keyFile: key,
                caFile: "\(directory.path)/ca.crt",
                role: .node,
                now: TestAuthority.now
            )
        } throws: { error in
            guard let error = error as? TLSError else { return false }
            return error.code == .filePermissions
                && error.message.hasPrefix("\(key): permissions: expected 0600, found 0")
                && error.message.hasSuffix("run chmod 600 \(key)")
        }
    }

    @Test func unreadableFilesAreNamed() throws {
        let directory = try Directory()
        let missing = "\(directory.path)/none.crt"
        #expect {
            try TLSMaterial.loadTrust(caFile: missing, now: TestAuthority.now)
        } throws: { error in
            error as? TLSError
                == TLSError(
                    .fileUnreadable,
                    "\(missing): cannot be opened: No such file or directory"
                )
        }
        #expect {
            try TLSMaterial.loadTrust(caFile: directory.path, now: TestAuthority.now)
        } throws: { error in
            error as? TLSError
                == TLSError(
                    .fileUnreadable,
                    "\(directory.path): expected a regular file"
                )
        }
        let pipe = "\(directory.path)/pipe"
        mkfifo(pipe, 0o600)
        #expect {
            try PrivateFile.read(path: pipe, byteCountMax: 1)
        } throws: { error in
            (error as? TLSError)?.message == "\(pipe): expected a regular file"
        }
        #expect {
            try PrivateFile.write([1], path: "\(directory.path)/no/such", mode: 0o600)
        } throws: { error in
            (error as? TLSError)?.code == .fileNotWritten
        }
    }

    @Test(arguments: [0, 1])
    func filesAreBounded(excess: Int) throws {
        let directory = try Directory()
        let path = "\(directory.path)/large.crt"
        let bound = Limits.pemByteCountMax
        let bytes = [UInt8](repeating: 10, count: bound + excess)
        try PrivateFile.write(bytes, path: path, mode: 0o644)
        let result = Result { try PrivateFile.read(path: path, byteCountMax: bound) }
        switch result {
        case .success(let read):
            #expect(excess == 0 && read.count == bound)
        case .failure(let error):
            let expected = TLSError(.fileTooLarge, "\(path): size: expected at most \(bound) bytes")
            #expect(excess == 1 && error as? TLSError == expected)
        }
    }

    /// One part made wrong at a time.
    struct Wrong: Sendable, CustomTestStringConvertible {
        let name: String
        let code: TLSError.Code
        let message: String
        let build: @Sendable (TestAuthority) throws -> Parts
        var testDescription: String { self.name }
    }

    struct Parts {
        var certificate: [UInt8]
        var key: [UInt8]
        var authorities: [UInt8]
        var role = TLSMaterial.Role.node
    }

    static func good(_ authority: TestAuthority) throws -> Parts {
        let node = try authority.issue(authority.nodeProfile)
        return Parts(
            certificate: node.certificate.pem,
            key: try node.key.pem(),
            authorities: authority.pem
        )
    }

    static func parts(
        _ authority: TestAuthority,
        _ profile: CertificateProfile,
        startDay: Int64 = 0,
        role: TLSMaterial.Role = .node
    ) throws -> Parts {
        let node = try authority.issue(profile, startDay: startDay, days: 2)
        return Parts(
            certificate: node.certificate.pem,
            key: try node.key.pem(),
            authorities: authority.pem,
            role: role
        )
    }

    /// Made for this test by `openssl ecparam -genkey -name secp521r1`; it guards nothing.
    static let p521Key = """
        -----BEGIN PRIVATE KEY-----
        MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAmqECT6qE/gHcAPcn
        GYLKhLtFeRCJOMjNaOh9GXcF+u4Jn4whnB2B4nLSny7sHN+EMHoko8+M16SczRvd
        mMy4+UuhgYkDgYYABAElnvz223lirND2vMeLcGV/Fhqvafludl3o245U1cx/kAne
        YWrlv5BSc0b2M+wgJPwwKA4zvnNm6jOcDbvi8hpmpwEeoEJ6C8h7F047YdG77FbS
        7Dd7OIdUzyX+fjYcL3sgSOWhjtuUa2Arz/zdXjs6O3X0a4daPonu9ZXmCreNi/KD
        eg==
        -----END PRIVATE KEY-----

        """

    static let table: [Wrong] = [
        Wrong(
            name: "certificate is not PEM",
            code: .notPEM,
            message: "node.crt: expected certificates in PEM (-----BEGIN CERTIFICATE-----), found "
                + "something else"
        ) { authority in
            var parts = try Self.good(authority)
            parts.certificate = Array("hello".utf8)
            return parts
        },
        Wrong(
            name: "second certificate is broken",
            code: .notPEM,
            message: "node.crt: expected certificates in PEM (-----BEGIN CERTIFICATE-----), found "
                + "something else after the first 1"
        ) { authority in
            var parts = try Self.good(authority)
            parts.certificate += Array(
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".utf8
            )
            return parts
        },
        Wrong(
            name: "key is a certificate",
            code: .notPEM,
            message: "node.key: expected a private key in PEM, not encrypted "
                + "(-----BEGIN PRIVATE KEY-----)"
        ) { authority in
            var parts = try Self.good(authority)
            parts.key = parts.certificate
            return parts
        },
        Wrong(
            name: "key of another certificate",
            code: .keyMismatch,
            message: "node.key: does not belong to the certificate in node.crt: expected the key "
                + "that the certificate was made for"
        ) { authority in
            var parts = try Self.good(authority)
            parts.key = try PrivateKey.generate().pem()
            return parts
        },
        Wrong(
            name: "key of another kind",
            code: .keyMismatch,
            message: "node.key: does not belong to the certificate in node.crt: expected the key "
                + "that the certificate was made for"
        ) { authority in
            var parts = try Self.good(authority)
            parts.key = try PrivateKey.generate(.ed25519).pem()
            return parts
        },
        Wrong(
            name: "expired",
            code: .certificateExpired,
            message: "node.crt: validity: expired on "
        ) { try Self.parts($0, $0.nodeProfile, startDay: -5) },
        Wrong(
            name: "not yet valid",
            code: .certificateNotYetValid,
            message: "node.crt: validity: not valid before "
        ) { try Self.parts($0, $0.nodeProfile, startDay: 5) },
        Wrong(
            name: "another CA",
            code: .notSignedByAuthority,
            message: "node.crt: issuer: expected a CA of ca.crt, found CN=test CA"
        ) { authority in
            var parts = try Self.good(authority)
            parts.authorities = try TestAuthority(name: "other").pem
            return parts
        },
        Wrong(
            name: "another CA of the same name",
            code: .notSignedByAuthority,
            message: "node.crt: issuer: expected a CA of ca.crt, found CN=test CA"
        ) { authority in
            var parts = try Self.good(authority)
            parts.authorities = try TestAuthority().pem
            return parts
        },
        Wrong(
            name: "bundle with a leaf",
            code: .notAnAuthority,
            message: "ca.crt: basic constraints: expected CA certificates only, found CN="
        ) { authority in
            var parts = try Self.good(authority)
            parts.authorities += parts.certificate
            return parts
        },
        Wrong(
            name: "empty bundle",
            code: .notPEM,
            message: "ca.crt: expected certificates in PEM"
        ) { authority in
            var parts = try Self.good(authority)
            parts.authorities = []
            return parts
        },
        Wrong(
            name: "a client's certificate for a node",
            code: .wrongSubjectAlternativeName,
            message: "node.crt: subject alternative name: expected one URI "
                + "prustdb://node/<64 hex digits>, found URI:prustdb://client/alice"
        ) { try Self.parts($0, .client("alice")) },
        Wrong(
            name: "a node's certificate for a client",
            code: .wrongSubjectAlternativeName,
            message: "node.crt: subject alternative name: expected one URI "
                + "prustdb://client/<name>, found URI:prustdb://node/"
        ) { try Self.parts($0, $0.nodeProfile, role: .client) },
        Wrong(
            name: "no name at all",
            code: .wrongSubjectAlternativeName,
            message: "node.crt: subject alternative name: expected one URI "
                + "prustdb://node/<64 hex digits>, found none"
        ) { authority in
            let pem = authority.authority.certificate.pem
            return Parts(
                certificate: pem,
                key: try authority.authority.key.pem(),
                authorities: pem
            )
        },
    ]

    @Test(arguments: table)
    func messages(wrong: Wrong) throws {
        let parts = try wrong.build(TestAuthority())
        let result = Result {
            try TLSMaterial(
                certificatePEM: parts.certificate,
                keyPEM: parts.key,
                caPEM: parts.authorities,
                role: parts.role,
                now: TestAuthority.now,
                names: .init(certificate: "node.crt", key: "node.key", authorities: "ca.crt")
            )
        }
        switch result {
        case .success:
            Issue.record("accepted")
        case .failure(let error):
            let error = try #require(error as? TLSError)
            #expect(error.code == wrong.code)
            #expect(error.message.hasPrefix(wrong.message), "\(error.message)")
            #expect(!error.message.contains("\n"))
        }
    }

    @Test func goodMaterialIsTaken() throws {
        let authority = try TestAuthority()
        let parts = try Self.good(authority)
        let material = try TLSMaterial(
            certificatePEM: parts.certificate,
            keyPEM: parts.key,
            caPEM: parts.authorities,
            role: .node,
            now: TestAuthority.now
        )
        #expect(material.identity == .node(authority.nodeID))
        #expect(throws: Never.self) {
            try TLSContext.server(
                material: material,
                applicationProtocols: ["resp"],
                clientCertificates: .optional
            )
        }
    }

    @Test func otherKindsOfKeysAreRefused() throws {
        #expect {
            try PrivateKey(pem: Array(Self.p521Key.utf8), name: "node.key")
        } throws: { error in
            error as? TLSError
                == TLSError(
                    .wrongKeyType,
                    "node.key: key type: expected an EC P-256, EC P-384 or Ed25519 key"
                )
        }
    }

    @Test func badContextsAreRefused() throws {
        let authority = try TestAuthority()
        let trust = try TLSMaterial(trustPEM: authority.pem, now: TestAuthority.now)
        #expect(throws: TLSError.self) {
            try TLSContext.server(
                material: trust,
                applicationProtocols: [],
                clientCertificates: .none
            )
        }
        for protocols in [
            [""], [String(repeating: "a", count: 256)], Array(repeating: "a", count: 17),
        ] {
            #expect {
                try TLSContext.client(material: trust, applicationProtocols: protocols)
            } throws: { error in
                (error as? TLSError)?.code == .badParameters
            }
        }
    }
}
