import PrustCore
import Testing

@testable import PrustServer

@Suite struct AccessDocumentTests {
    static let now = WallTime(milliseconds: 1_800_000_000_000)

    static func document(_ users: [(String, [String])]) throws -> AccessDocument {
        var document = AccessDocument()
        for (name, roles) in users {
            try document.createUser(name: name, roles: roles, password: nil, now: Self.now)
        }
        return document
    }

    static func certificate(_ serial: String, seconds: Int64) -> AccessDocument.IssuedCertificate {
        .init(serial: serial, fingerprint: "f", notAfter: Self.now.milliseconds / 1_000 + seconds)
    }

    /// Runs a change and gives the code of the refusal; the document must be as before then.
    static func refusal(
        _ document: AccessDocument,
        _ body: (inout AccessDocument) throws(AccessError) -> Void
    ) -> AccessError.Code? {
        var copy = document
        do throws(AccessError) {
            try body(&copy)
            #expect(copy.revision == document.revision + 1)
            return nil
        } catch {
            #expect(copy == document)
            return error.code
        }
    }

    @Test func usersAreKeptInOrder() throws {
        let document = try Self.document([("b", ["admin"]), ("a", []), ("c", ["readonly"])])
        #expect(document.users.map(\.name) == ["a", "b", "c"])
        #expect(document.revision == 3)
        #expect(document.user("b")?.created == Self.now.milliseconds)
        #expect(document.user("d") == nil)
    }

    static let names: [(name: String, isValid: Bool)] = [
        ("a", true), ("A.b_c-9", true), (String(repeating: "a", count: 64), true),
        (String(repeating: "a", count: 65), false), ("", false), ("a b", false), ("a/b", false),
        ("\u{e9}", false), ("a\n", false),
    ]

    @Test(arguments: names)
    func name(name: String, isValid: Bool) {
        let user = Self.refusal(AccessDocument()) { (document) throws(AccessError) in
            try document.createUser(name: name, roles: [], password: nil, now: Self.now)
        }
        #expect(user == (isValid ? nil : .invalid))
        let role = Self.refusal(AccessDocument()) { (document) throws(AccessError) in
            try document.createRole(.init(name: name, verbs: [.read], prefixes: []))
        }
        #expect(role == (isValid ? nil : .invalid))
    }

    @Test func userRefusals() throws {
        let document = try Self.document([("a", ["admin"])])
        func create(_ name: String, _ roles: [String]) -> AccessError.Code? {
            Self.refusal(document) { (document) throws(AccessError) in
                try document.createUser(name: name, roles: roles, password: nil, now: Self.now)
            }
        }
        #expect(create("a", []) == .exists)
        #expect(create("b", ["no"]) == .notFound)
        #expect(create("b", Array(repeating: "admin", count: 17)) == .tooMany)
        #expect(create("b", Array(repeating: "admin", count: 16)) == nil)
        let missing = Self.refusal(document) { (document) throws(AccessError) in
            try document.setEnabled(true, user: "zz")
        }
        #expect(missing == .notFound)
    }

    /// Every way in which the user `root` stops being an administrator.
    enum AdminLoss: CaseIterable {
        case delete
        case disable
        case otherRoles

        func apply(_ document: inout AccessDocument) throws(AccessError) {
            switch self {
            case .delete: try document.deleteUser("root")
            case .disable: try document.setEnabled(false, user: "root")
            case .otherRoles: try document.setRoles(of: "root", to: ["readwrite"])
            }
        }
    }

    @Test func theLastAdminStays() throws {
        let one = try Self.document([("root", ["admin"]), ("bob", ["readwrite"])])
        for change in AdminLoss.allCases {
            #expect(Self.refusal(one, change.apply) == .lastAdmin)
        }
        var two = one
        try two.createRole(.init(name: "ops", verbs: [.admin], prefixes: []))
        try two.setRoles(of: "bob", to: ["ops", "ops"])
        #expect(two.user("bob")?.roles == ["ops"])
        for change in AdminLoss.allCases { #expect(Self.refusal(two, change.apply) == nil) }
        try two.setEnabled(false, user: "bob")
        for change in AdminLoss.allCases {
            #expect(Self.refusal(two, change.apply) == .lastAdmin)
        }
    }

    @Test func roleRefusals() throws {
        var document = AccessDocument()
        try document.createRole(.init(name: "app", verbs: [.read], prefixes: ["app:"]))
        try document.createUser(name: "u", roles: ["app"], password: nil, now: Self.now)
        func create(_ role: AccessDocument.Role) -> AccessError.Code? {
            Self.refusal(document) { (document) throws(AccessError) in
                try document.createRole(role)
            }
        }
        let prefix = String(repeating: "p", count: Limits.keyByteCountMax)
        #expect(create(.init(name: "app", verbs: [.read], prefixes: [])) == .exists)
        #expect(create(.init(name: "admin", verbs: [.read], prefixes: [])) == .exists)
        #expect(create(.init(name: "x", verbs: [], prefixes: [])) == .invalid)
        #expect(create(.init(name: "x", verbs: [.read, .read], prefixes: [])) == .invalid)
        #expect(create(.init(name: "x", verbs: [.read], prefixes: [""])) == .invalid)
        #expect(create(.init(name: "x", verbs: [.read], prefixes: [prefix])) == nil)
        #expect(create(.init(name: "x", verbs: [.read], prefixes: [prefix + "p"])) == .invalid)
        let many = (0..<Limits.rolePrefixCountMax).map { "p\($0)" }
        #expect(create(.init(name: "x", verbs: [.read], prefixes: many)) == nil)
        #expect(create(.init(name: "x", verbs: [.read], prefixes: many + ["q"])) == .tooMany)
        func delete(_ name: String) -> AccessError.Code? {
            Self.refusal(document) { (document) throws(AccessError) in
                try document.deleteRole(name)
            }
        }
        #expect(delete("admin") == .builtIn)
        #expect(delete("nothing") == .notFound)
        #expect(delete("app") == .inUse)
        try document.setRoles(of: "u", to: [])
        #expect(delete("app") == nil)
    }

    @Test func numberOfRoles() throws {
        var document = AccessDocument()
        for index in 0..<Limits.roleCountMax {
            try document.createRole(.init(name: "r\(index)", verbs: [.read], prefixes: []))
        }
        let code = Self.refusal(document) { (document) throws(AccessError) in
            try document.createRole(.init(name: "one-more", verbs: [.read], prefixes: []))
        }
        #expect(code == .tooMany)
    }

    @Test func deletedUsersLeaveTheirCertificatesRevoked() throws {
        var document = try Self.document([("root", ["admin"]), ("bob", ["readonly"])])
        try document.addCertificate(Self.certificate("AA01", seconds: 9), to: "bob", now: Self.now)
        var table = AccessTable(document)
        #expect(table.principal(certificateName: "bob", serial: "aa01") != nil)
        try document.deleteUser("bob")
        try document.createUser(name: "bob", roles: ["admin"], password: nil, now: Self.now)
        table = AccessTable(document)
        #expect(table.principal(certificateName: "bob", serial: "AA01") == nil)
        #expect(table.principal(certificateName: "bob", serial: "aa01") == nil)
        #expect(table.principal(certificateName: "bob", serial: "AA02")?.isAdmin == true)
    }

    @Test func certificatesAreBoundedAndForgottenWhenOld() throws {
        var document = try Self.document([("root", ["admin"])])
        let bound = AccessDocument.certificatesPerUserMax
        for index in 0..<bound {
            let certificate = Self.certificate("\(index)", seconds: index == 0 ? 5 : 500)
            try document.addCertificate(certificate, to: "root", now: Self.now)
        }
        let code = Self.refusal(document) { (document) throws(AccessError) in
            try document.addCertificate(
                Self.certificate("x", seconds: 9),
                to: "root",
                now: Self.now
            )
        }
        #expect(code == .tooMany)
        let later = WallTime(milliseconds: Self.now.milliseconds + 6_000)
        try document.addCertificate(Self.certificate("x", seconds: 9), to: "root", now: later)
        #expect(document.user("root")?.certificates.count == bound)
        #expect(try document.revokeCertificates(of: "root") == bound)
        #expect(document.revoked.count == bound)
        #expect(document.user("root")?.certificates == [])
        let muchLater = WallTime(milliseconds: Self.now.milliseconds + 1_000_000)
        try document.addCertificate(Self.certificate("y", seconds: 9), to: "root", now: muchLater)
        #expect(document.revoked == [])
    }
}
