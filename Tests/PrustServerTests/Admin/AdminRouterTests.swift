import PrustCore
import PrustTLS
import Testing

@testable import PrustServer

@Suite struct AdminRouterTests {
    static let routes: [(method: String, path: String, status: Int)] = [
        ("GET", "/v1/status", 200), ("GET", "/v1/limits", 200), ("GET", "/v1/settings", 200),
        ("GET", "/v1/doctor", 200), ("POST", "/v1/reload", 200), ("GET", "/v1/users", 200),
        ("GET", "/v1/roles", 200), ("GET", "/v1/clients", 200), ("GET", "/v1/users/admin", 200),
        ("GET", "/v1/users/nobody", 404), ("DELETE", "/v1/users/nobody", 404),
        ("PUT", "/v1/status", 405), ("get", "/v1/status", 405), ("HEAD", "/v1/status", 405),
        ("GET", "/v1/reload", 405), ("POST", "/v1/users/admin", 405),
        ("GET", "/v1", 404), ("GET", "/v1/", 404), ("GET", "/v1/status/", 404),
        ("GET", "//v1/status", 404), ("GET", "v1/status", 404), ("GET", "", 404),
        ("GET", "/", 404), ("GET", "/V1/status", 404), ("GET", "/v2/status", 404),
        ("GET", "/v1/users/", 404), ("GET", "/v1/users/a%20b", 404), ("GET", "/v1/users/../x", 404),
        ("GET", "/v1/users/" + String(repeating: "a", count: 65), 404),
    ]

    @Test func everyPathAndMethod() async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fixture = try AdminFixture(directory)
            for (method, path, status) in Self.routes {
                let answer = await fixture.send(method, path)
                #expect(answer.status == status, "\(method) \(path): \(answer.text)")
                if status >= 400 {
                    #expect(answer.text.hasPrefix("{\"error\":{\"code\":\""))
                }
            }
            let response = await fixture.router.handle(
                AdminRequest(method: "PATCH", path: "/v1/users/admin"),
                from: AdminFixture.root
            )
            #expect(response.allow == ["GET", "DELETE"])
        }
    }

    @Test func onlyAdminsAndTheRefusalIsAudited() async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fixture = try AdminFixture(directory)
            let peer = try await fixture.peer("bob", role: "readwrite")
            for (method, path, _) in Self.routes.prefix(5) {
                #expect(await fixture.send(method, path, from: peer).status == 403)
            }
            #expect(await fixture.send("DELETE", "/v1/users/admin", from: peer).status == 403)
            let events = fixture.audit.take()
            #expect(events.count == 6)
            #expect(events.allSatisfy { $0.outcome == .denied && $0.reason == "no-admin" })
            #expect(
                events.last
                    == AuditEvent(
                        who: "bob",
                        method: .certificate,
                        from: "10.0.0.1:5",
                        action: "user.delete",
                        target: "admin",
                        outcome: .denied,
                        reason: "no-admin"
                    )
            )
            #expect(fixture.store.users.map(\.name).sorted() == ["admin", "bob"])
        }
    }

    /// A connection that is open gives nobody what was taken from him meanwhile.
    @Test func whatIsTakenIsGoneOnOpenConnections() async throws {
        let takings: [(method: String, path: String, body: String)] = [
            ("POST", "/v1/users/bob/disable", ""),
            ("DELETE", "/v1/users/bob", ""),
            ("PUT", "/v1/users/bob/roles", #"{"roles":["readonly"]}"#),
            ("POST", "/v1/clients/bob/revoke", #"{"serial":"0a"}"#),
        ]
        for (method, path, body) in takings {
            try await AccessStoreTests.withDirectory { directory in
                let fixture = try AdminFixture(directory)
                let peer = try await fixture.peer("bob", role: "admin")
                #expect(await fixture.send("GET", "/v1/users", from: peer).status == 200)
                let taken = await fixture.send(method, path, body)
                #expect(taken.status < 300, "\(path): \(taken.text)")
                let name = #"{"name":"eve","roles":["admin"],"password":"password1"}"#
                #expect(await fixture.send("POST", "/v1/users", name, from: peer).status == 403)
                #expect(!fixture.store.users.map(\.name).contains("eve"))
            }
        }
    }

    @Test func userLife() async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fixture = try AdminFixture(directory)
            let steps: [(method: String, path: String, body: String, status: Int)] = [
                (
                    "POST", "/v1/users",
                    #"{"name":"bob","roles":["readonly"],"password":"password1"}"#, 201
                ),
                ("POST", "/v1/users", #"{"name":"bob","roles":[]}"#, 409),
                ("POST", "/v1/users", #"{"name":"amy","roles":["no"]}"#, 404),
                ("POST", "/v1/users", #"{"name":"amy","roles":[],"password":"short"}"#, 400),
                ("POST", "/v1/users", #"{"name":"a b","roles":[]}"#, 400),
                ("POST", "/v1/users", #"{"name":"amy","roles":[],"extra":1}"#, 400),
                ("POST", "/v1/users", #"{"name":"amy"}"#, 400),
                ("POST", "/v1/users", #"{"name":7,"roles":[]}"#, 400),
                ("POST", "/v1/users", #"["name"]"#, 400),
                ("POST", "/v1/users", "", 400),
                ("POST", "/v1/users", "{", 400),
                ("PUT", "/v1/users/bob/password", #"{"password":"password2"}"#, 200),
                ("PUT", "/v1/users/bob/password", #"{"password":""}"#, 400),
                ("PUT", "/v1/users/nobody/password", #"{"password":"password2"}"#, 404),
                ("PUT", "/v1/users/bob/roles", #"{"roles":["readwrite"]}"#, 200),
                ("PUT", "/v1/users/admin/roles", #"{"roles":["readwrite"]}"#, 409),
                ("POST", "/v1/users/bob/disable", "", 200),
                ("POST", "/v1/users/bob/enable", "", 200),
                ("POST", "/v1/users/admin/disable", "", 409),
                ("DELETE", "/v1/users/admin", "", 409),
                ("DELETE", "/v1/users/bob", "", 200),
                ("DELETE", "/v1/users/bob", "", 404),
            ]
            for (method, path, body, status) in steps {
                let answer = await fixture.send(method, path, body)
                #expect(answer.status == status, "\(method) \(path) \(body): \(answer.text)")
                let event = try #require(fixture.audit.take().first)
                #expect(event.outcome == (status < 300 ? .done : .failed))
                #expect(!event.action.contains("password1"))
            }
        }
    }

    @Test func passwordsAreNeverShown() async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fixture = try AdminFixture(directory)
            let body = #"{"name":"bob","roles":["readonly"],"password":"password1"}"#
            let created = await fixture.send("POST", "/v1/users", body)
            let listed = await fixture.send("GET", "/v1/users")
            for text in [created.text, listed.text] {
                #expect(text.contains("\"hasPassword\":true"))
                #expect(!text.contains("scrypt"))
                #expect(!text.contains("password1"))
            }
        }
    }

    @Test func roles() async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fixture = try AdminFixture(directory)
            let steps: [(method: String, path: String, body: String, status: Int)] = [
                (
                    "POST", "/v1/roles",
                    #"{"name":"app","verbs":["read","write"],"prefixes":["app:"]}"#, 201
                ),
                ("POST", "/v1/roles", #"{"name":"all","verbs":["read"]}"#, 201),
                ("POST", "/v1/roles", #"{"name":"app","verbs":["read"]}"#, 409),
                ("POST", "/v1/roles", #"{"name":"x","verbs":["fly"]}"#, 400),
                ("POST", "/v1/roles", #"{"name":"x","verbs":[]}"#, 400),
                ("DELETE", "/v1/roles/admin", "", 409),
                ("DELETE", "/v1/roles/nothing", "", 404),
                ("DELETE", "/v1/roles/all", "", 200),
            ]
            for (method, path, body, status) in steps {
                let answer = await fixture.send(method, path, body)
                #expect(answer.status == status, "\(method) \(path) \(body): \(answer.text)")
            }
            #expect(fixture.store.roles.map(\.name) == ["admin", "readwrite", "readonly", "app"])
        }
    }

    @Test func clientsGetCertificatesThatCanBeRevoked() async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fixture = try AdminFixture(directory)
            let unknown = await fixture.send("POST", "/v1/clients", #"{"name":"app"}"#)
            #expect(unknown.status == 400)
            let answer = await fixture.send(
                "POST",
                "/v1/clients",
                #"{"name":"app","roles":["readwrite"],"days":30}"#
            )
            #expect(answer.status == 201)
            let credentials = try #require(
                AdminJSON.decodeAnswer(ClientCredentials.self, from: Array(answer.text.utf8))
            )
            let material = try TLSMaterial(
                certificatePEM: Array(credentials.certificate.utf8),
                keyPEM: Array(try #require(credentials.key).utf8),
                caPEM: Array(credentials.ca.utf8),
                role: .client,
                now: AdminFixture.now
            )
            #expect(material.identity == .client("app"))
            let table = fixture.store.snapshot.table
            let serial = credentials.serial
            #expect(table.principal(certificateName: "app", serial: serial)?.allows(.write) == true)

            // A second certificate of the same user, for a key that the client made itself.
            let key = try PrivateKey.generate()
            let request = try CertificateRequest.make(key: key, identity: .client("other"))
            let csr = String(decoding: request.pem, as: UTF8.self)
                .split(separator: "\n").joined(separator: "\\n")
            let second = await fixture.send(
                "POST",
                "/v1/clients",
                "{\"name\":\"app\",\"csr\":\"\(csr)\\n\"}"
            )
            #expect(second.status == 201)
            #expect(!second.text.contains("PRIVATE KEY"))
            let again = await fixture.send("POST", "/v1/clients", #"{"name":"app","roles":[]}"#)
            #expect(again.status == 409)
            let bad = await fixture.send("POST", "/v1/clients", #"{"name":"app","csr":"x"}"#)
            #expect(bad.status == 400)
            let days = await fixture.send("POST", "/v1/clients", #"{"name":"app","days":3651}"#)
            #expect(days.status == 400)

            let revoked = await fixture.send("POST", "/v1/clients/app/revoke")
            #expect(revoked.text == "{\"name\":\"app\",\"revoked\":2}\n")
            let after = fixture.store.snapshot.table
            #expect(after.principal(certificateName: "app", serial: serial) == nil)
            #expect(fixture.audit.take().map(\.target).allSatisfy { $0 == "app" })
        }
    }

    @Test func bodyAtTheBoundAndPastIt() async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fixture = try AdminFixture(directory)
            let body = #"{"name":"amy","roles":[]}"#
            let padding = Limits.adminBodyByteCountMax - body.utf8.count
            let full = body + String(repeating: " ", count: padding)
            #expect(await fixture.send("POST", "/v1/users", full + " ").status == 413)
            #expect(await fixture.send("POST", "/v1/users", full).status == 201)
        }
    }

    @Test func hostileBodiesAreAnswered() async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fixture = try AdminFixture(directory)
            let bodies = [
                String(repeating: "[", count: 500_000),
                String(repeating: "{\"a\":", count: 100_000),
                "{\"name\":\"\\ud800\",\"roles\":[]}", "{\"name\":1e999,\"roles\":[]}",
                "{\"roles\":[\(String(repeating: "\"r\",", count: 100_000))\"r\"],\"name\":\"x\"}",
                "\u{0}\u{1}", "null", "true", "\"\"",
            ]
            for body in bodies {
                let answer = await fixture.send("POST", "/v1/users", body)
                #expect((400..<500).contains(answer.status), "\(answer.status) \(answer.text)")
            }
        }
    }

    @Test func reloadThatFails() async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fault = AdminFault(status: 409, code: "bad-settings", message: "p.yaml:3: x")
            let fixture = try AdminFixture(directory, backend: FakeBackend(reloadFault: fault))
            let answer = await fixture.send("POST", "/v1/reload")
            #expect(answer.status == 409)
            #expect(
                answer.text
                    == "{\"error\":{\"code\":\"bad-settings\",\"message\":\"p.yaml:3: x\"}}\n"
            )
            #expect(fixture.audit.take().map(\.reason) == ["bad-settings"])
        }
    }

    @Test func theFixedLimitsAreShown() async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fixture = try AdminFixture(directory)
            let answer = await fixture.send("GET", "/v1/limits")
            let reports = try #require(
                AdminJSON.decodeAnswer([LimitReport].self, from: Array(answer.text.utf8))
            )
            #expect(reports.first?.used == 2)
            #expect(reports.first { $0.name == "key-bytes" }?.value == Limits.keyByteCountMax)
            #expect(Set(reports.map(\.name)).count == reports.count)
        }
    }
}
