import PrustCore
import PrustServer
import Testing

@Suite struct UserLimitTests {
    /// The document is made full at once: adding users one by one checks all of them each time.
    @Test func theLastUserFitsAndOneMoreDoesNot() throws {
        var document = AccessDocument()
        let template = AccessDocument.User(
            name: "u",
            enabled: true,
            roles: ["readonly"],
            password: nil,
            created: 1,
            certificates: []
        )
        for number in 0..<(Limits.userCountMax - 1) {
            var user = template
            user.name = "u\(number)"
            document.users.append(user)
        }
        try document.createUser(
            name: "last",
            roles: ["readonly"],
            password: nil,
            now: WallTime(milliseconds: 1)
        )
        #expect(document.users.count == Limits.userCountMax)
        #expect(throws: AccessError.self) {
            try document.createUser(
                name: "more",
                roles: ["readonly"],
                password: nil,
                now: WallTime(milliseconds: 1)
            )
        }
    }
}
