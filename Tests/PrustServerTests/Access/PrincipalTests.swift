import PrustCore
import Testing

@testable import PrustServer

@Suite struct PrincipalTests {
    static func principal(_ roles: [AccessDocument.Role]) -> Principal {
        Principal(name: "u", method: .password, roles: roles)
    }

    static func allows(_ principal: Principal, _ verb: Verb, _ key: String) -> Bool {
        Array(key.utf8).withUnsafeBytes { principal.allows(verb, key: $0) }
    }

    @Test func builtInRoles() {
        let table: [(AccessDocument.Role, read: Bool, write: Bool, admin: Bool)] = [
            (.administrator, true, true, true), (.readWrite, true, true, false),
            (.readOnly, true, false, false),
        ]
        for (role, read, write, admin) in table {
            let principal = Self.principal([role])
            #expect(principal.allows(.read) == read)
            #expect(principal.allows(.write) == write)
            #expect(principal.allows(.admin) == admin)
            #expect(principal.isAdmin == admin)
            #expect(Self.allows(principal, .read, "any") == read)
            #expect(Self.allows(principal, .write, "") == write)
            #expect(Self.allows(principal, .admin, "any") == admin)
        }
    }

    @Test func noRolesNoAccess() {
        let principal = Self.principal([])
        for verb in Verb.allCases {
            #expect(!principal.allows(verb))
            #expect(!principal.allowsSome(verb))
            #expect(!Self.allows(principal, verb, "k"))
        }
    }

    @Test func prefixesOfSeveralRolesAddUp() {
        let principal = Self.principal([
            .init(name: "a", verbs: [.read], prefixes: ["app:", "b"]),
            .init(name: "b", verbs: [.read, .write], prefixes: ["app:own:"]),
        ])
        #expect(!principal.allows(.read))
        #expect(principal.allowsSome(.read))
        #expect(principal.allowsSome(.write))
        let table: [(key: String, read: Bool, write: Bool)] = [
            ("app:", true, false), ("app:x", true, false), ("app:own:", true, true),
            ("app:own:x", true, true), ("app:own", true, false), ("app", false, false),
            ("b", true, false), ("bb", true, false), ("a", false, false), ("", false, false),
            ("c", false, false), ("App:", false, false),
        ]
        for (key, read, write) in table {
            #expect(Self.allows(principal, .read, key) == read, "\(key)")
            #expect(Self.allows(principal, .write, key) == write, "\(key)")
            #expect(!Self.allows(principal, .admin, key))
        }
    }

    @Test func oneUnrestrictedRoleIsEnough() {
        let principal = Self.principal([
            .init(name: "a", verbs: [.read], prefixes: ["app:"]), .readOnly,
        ])
        #expect(principal.allows(.read))
        #expect(Self.allows(principal, .read, "other"))
        #expect(!principal.allowsSome(.write))
    }

    @Test func prefixSetAgreesWithTheObviousSearch() {
        var random = SeededRandom(seed: 5)
        for _ in 0..<400 {
            let prefixes = (0..<Int.random(in: 0...8, using: &random)).map { _ in
                (0..<Int.random(in: 1...4, using: &random)).map { _ in
                    UInt8.random(in: 254...255, using: &random)
                        &+ UInt8.random(in: 0...2, using: &random)
                }
            }
            let set = KeyPrefixSet(prefixes)
            for _ in 0..<40 {
                let key = (0..<Int.random(in: 0...6, using: &random)).map { _ in
                    UInt8.random(in: 254...255, using: &random)
                        &+ UInt8.random(in: 0...2, using: &random)
                }
                let expected = prefixes.contains { key.starts(with: $0) }
                #expect(key.withUnsafeBytes { set.contains(beginningOf: $0) } == expected)
            }
        }
    }

    @Test func tableResolvesAndRefreshes() throws {
        let now = AccessDocumentTests.now
        var document = AccessDocument()
        let hash = try PasswordHash(password: Array("password1".utf8), cost: .cheap)
        try document.createUser(name: "root", roles: ["admin"], password: nil, now: now)
        try document.createUser(name: "bob", roles: ["readonly"], password: hash, now: now)
        let before = AccessTable(document)
        let byCertificate = try #require(before.principal(certificateName: "bob", serial: "1"))
        let byPassword = try #require(before.principal("bob", method: .password))
        #expect(before.principal("root", method: .password) == nil)
        #expect(before.principal(certificateName: "no", serial: "1") == nil)
        #expect(byCertificate.method == .certificate)
        #expect(byCertificate.roles == ["readonly"])

        try document.setRoles(of: "bob", to: ["readwrite"])
        let after = AccessTable(document)
        #expect(after.refreshed(byCertificate, serial: "1")?.allows(.write) == true)
        #expect(after.refreshed(byPassword, serial: nil)?.allows(.write) == true)
        try document.setEnabled(false, user: "bob")
        let disabled = AccessTable(document)
        #expect(disabled.refreshed(byCertificate, serial: "1") == nil)
        #expect(disabled.refreshed(byPassword, serial: nil) == nil)
        let socket = Principal.socket(name: "uid=0")
        #expect(disabled.refreshed(socket, serial: nil) === socket)
        #expect(socket.isAdmin)
    }
}

extension PasswordHash.Cost {
    /// Quick, for tests.
    static let cheap = Self(costLog2: 4, blockSize: 1, parallelism: 1)
}
