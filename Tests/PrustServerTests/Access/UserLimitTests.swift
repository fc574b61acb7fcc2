import PrustCore
import Testing

@testable import PrustServer

@Suite struct UserLimitTests {
    /// The document is read full at once: adding users one by one checks all of them each time.
    @Test func theLastUserFitsAndOneMoreDoesNot() throws {
        var document = try AccessFile.decode(Self.file(count: Limits.userCountMax - 1))
        try Self.create("last", in: &document)
        #expect(document.users.count == Limits.userCountMax)
        let error = #expect(throws: AccessError.self) { try Self.create("more", in: &document) }
        #expect(error?.code == .tooMany)
        #expect(document.users.count == Limits.userCountMax)
    }

    @Test func aFileAtTheLimitIsReadAndOnePastItIsRefused() throws {
        let full = try AccessFile.decode(Self.file(count: Limits.userCountMax))
        #expect(full.users.count == Limits.userCountMax)
        let error = #expect(throws: AccessError.self) {
            try AccessFile.decode(Self.file(count: Limits.userCountMax + 1))
        }
        #expect(error?.code == .tooMany)
    }

    private static func create(
        _ name: String,
        in document: inout AccessDocument
    ) throws(AccessError) {
        try document.createUser(
            name: name,
            roles: ["readonly"],
            password: nil,
            now: WallTime(milliseconds: 1)
        )
    }

    private static func file(count: Int) -> [UInt8] {
        let users = (0..<count).map { number in
            #"{"name":"u\#(number)","enabled":true,"roles":[],"created":0,"certificates":[]}"#
        }
        return Array(AccessStoreTests.text(users: "[\(users.joined(separator: ","))]").utf8)
    }
}
