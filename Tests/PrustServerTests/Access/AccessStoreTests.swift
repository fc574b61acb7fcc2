import Foundation
import PrustCore
import Testing

@testable import PrustServer

@Suite struct AccessStoreTests {
    /// A directory of its own for each test, removed at the end.
    static func withDirectory(_ body: (String) async throws -> Void) async throws {
        let path = NSTemporaryDirectory() + "prust-access-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(path)
    }

    static func founded() throws -> AccessDocument {
        try AccessDocumentTests.document([("root", ["admin"])])
    }

    @Test func changesAreOnDiskAndInForce() async throws {
        try await Self.withDirectory { directory in
            let file = AccessFile(path: directory + "/access.json")
            try file.save(try Self.founded())
            let store = try AccessStore(file: file)
            let generation = store.snapshot.generation
            let now = AccessDocumentTests.now
            try await store.change { (document) throws(AccessError) in
                try document.createUser(name: "bob", roles: ["readonly"], password: nil, now: now)
            }
            #expect(store.snapshot.generation == generation + 1)
            #expect(store.users.map(\.name) == ["bob", "root"])
            #expect(store.roles.map(\.name) == ["admin", "readwrite", "readonly"])
            #expect(try file.load() == store.snapshot.table.document)
            let mode = try FileManager.default.attributesOfItem(atPath: file.path)
            #expect(mode[.posixPermissions] as? Int == 0o600)

            await #expect(throws: AccessError.self) {
                try await store.change { (document) throws(AccessError) in
                    try document.deleteUser("root")
                }
            }
            #expect(store.snapshot.generation == generation + 1)
        }
    }

    @Test func aChangeThatCannotBeSavedIsNotInForce() async throws {
        try await Self.withDirectory { directory in
            let inner = directory + "/inner"
            try FileManager.default.createDirectory(
                atPath: inner,
                withIntermediateDirectories: false
            )
            let file = AccessFile(path: inner + "/access.json")
            try file.save(try Self.founded())
            let store = try AccessStore(file: file)
            try FileManager.default.removeItem(atPath: inner)
            let now = AccessDocumentTests.now
            let error = await #expect(throws: AccessError.self) {
                try await store.change { (document) throws(AccessError) in
                    try document.createUser(name: "bob", roles: [], password: nil, now: now)
                }
            }
            #expect(error?.code == .storage)
            #expect(store.users.map(\.name) == ["root"])
        }
    }

    @Test func reloadTakesAnotherFileAndRefusesABadOne() async throws {
        try await Self.withDirectory { directory in
            let file = AccessFile(path: directory + "/access.json")
            try file.save(try Self.founded())
            let store = try AccessStore(file: file)
            let generation = store.snapshot.generation
            try await store.reload()
            #expect(store.snapshot.generation == generation)
            try file.save(
                try AccessDocumentTests.document([("root", ["admin"]), ("amy", ["admin"])])
            )
            try await store.reload()
            #expect(store.users.map(\.name) == ["amy", "root"])
            try Data("{".utf8).write(to: URL(filePath: file.path))
            await #expect(throws: AccessError.self) { try await store.reload() }
            #expect(store.users.map(\.name) == ["amy", "root"])
        }
    }

    static func text(users: String = "[]", roles: String = "[]", format: String = "1") -> String {
        """
        {"format":\(format),"revision":3,"users":\(users),"roles":\(roles),"revoked":[]}
        """
    }

    static let user = """
        {"name":"a","enabled":true,"roles":[],"created":0,"certificates":[]}
        """

    static let bad: [(text: String, code: AccessError.Code)] = [
        ("", .storage), ("[]", .storage), ("{}", .storage), ("nonsense", .storage),
        (text(format: "2"), .storage), (text(format: "-1"), .storage),
        (text(format: "99999999999999999999"), .storage),
        (text(users: "[\(user),\(user)]"), .exists),
        (text(users: "[{\"name\":\"a\"}]"), .storage),
        (text(users: "[\(user.replacing("\"a\"", with: "\"a b\""))]"), .invalid),
        (text(users: "[\(user.replacing("[]", with: "[\"no\"]"))]"), .storage),
        (
            text(users: "[\(user.replacing("\"roles\":[]", with: "\"roles\":[\"no\"]"))]"),
            .notFound
        ),
        (
            text(
                users:
                    "[\(user.replacing("\"created\":0", with: "\"created\":0,\"password\":\"x\""))]"
            ),
            .invalid
        ),
        (text(roles: "[{\"name\":\"r\",\"verbs\":[\"fly\"],\"prefixes\":[]}]"), .storage),
        (text(roles: "[{\"name\":\"r\",\"verbs\":[],\"prefixes\":[]}]"), .invalid),
        (text(roles: "[{\"name\":\"admin\",\"verbs\":[\"read\"],\"prefixes\":[]}]"), .exists),
        (String(repeating: "[", count: 100_000), .storage),
        (String(repeating: "{\"a\":", count: 100_000), .storage),
    ]

    @Test(arguments: bad)
    func hostileFile(text: String, code: AccessError.Code) {
        do throws(AccessError) {
            _ = try AccessFile.decode(Array(text.utf8))
            Issue.record("expected an error")
        } catch {
            #expect(error.code == code)
        }
    }

    @Test func goodFile() throws {
        let document = try AccessFile.decode(Array(Self.text(users: "[\(Self.user)]").utf8))
        #expect(document.users.map(\.name) == ["a"])
        #expect(document.revision == 3)
    }
}
