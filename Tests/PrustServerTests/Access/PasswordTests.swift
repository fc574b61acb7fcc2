import NIOCore
import NIOPosix
import PrustCore
import Testing

@testable import PrustServer

@Suite struct PasswordTests {
    static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func hashesMatchTheirPasswordOnly() throws {
        let hash = try PasswordHash(password: Self.bytes("correct horse"), cost: .cheap)
        #expect(hash.matches(Self.bytes("correct horse")))
        #expect(!hash.matches(Self.bytes("correct hors")))
        #expect(!hash.matches([]))
        let read = try #require(PasswordHash(hash.description))
        #expect(read == hash)
        #expect(hash.description.hasPrefix("$scrypt$ln=4,r=1,p=1$"))
        let again = try PasswordHash(password: Self.bytes("correct horse"), cost: .cheap)
        #expect(again.salt != hash.salt)
        #expect(!PasswordHash.unmatchable().matches(Self.bytes("correct horse")))
    }

    /// The second vector of RFC 7914, section 12, cut to our length of key.
    @Test func standardParametersAreScrypt() throws {
        let text =
            "$scrypt$ln=15,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
            + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        let hash = try #require(PasswordHash(text))
        #expect(hash.cost == .standard)
        #expect(hash.description == text)
        #expect(!hash.matches(Self.bytes("x")))
    }

    @Test(arguments: [
        (7, false), (8, true), (Limits.passwordByteCountMax, true),
        (Limits.passwordByteCountMax + 1, false),
    ])
    func length(count: Int, isGood: Bool) {
        let password = [UInt8](repeating: 65, count: count)
        let hash = try? PasswordHash(password: password, cost: .cheap)
        #expect((hash != nil) == isGood)
    }

    static let salt = "AAAAAAAAAAAAAAAAAAAAAA"
    static let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

    @Test(arguments: [
        ("$scrypt$ln=1,r=1,p=1$\(salt)$\(key)", true),
        ("$scrypt$ln=17,r=8,p=4$\(salt)$\(key)", true),
        ("$scrypt$ln=18,r=8,p=1$\(salt)$\(key)", false),
        ("$scrypt$ln=15,r=9,p=1$\(salt)$\(key)", false),
        ("$scrypt$ln=15,r=8,p=5$\(salt)$\(key)", false),
        ("$scrypt$ln=0,r=8,p=1$\(salt)$\(key)", false),
        ("$scrypt$ln=-1,r=8,p=1$\(salt)$\(key)", false),
        ("$scrypt$ln=99999999999999999999,r=8,p=1$\(salt)$\(key)", false),
        ("$scrypt$r=8,ln=15,p=1$\(salt)$\(key)", false),
        ("$scrypt$ln=15,r=8$\(salt)$\(key)", false),
        ("$argon2id$ln=15,r=8,p=1$\(salt)$\(key)", false),
        ("$scrypt$ln=15,r=8,p=1$AAAA$\(key)", false),
        ("$scrypt$ln=15,r=8,p=1$\(salt)$AAAA", false),
        ("$scrypt$ln=15,r=8,p=1$\(salt)$!!!!", false),
        ("$scrypt$ln=15,r=8,p=1$\(salt)$\(key)$x", false),
        ("", false), ("$$$$", false), (String(repeating: "$", count: 10_000), false),
    ])
    func stored(text: String, isGood: Bool) {
        #expect((PasswordHash(text) != nil) == isGood)
    }

    @Test(arguments: [
        ("10.0.0.1", "10.0.0.1"), ("2001:db8:1:2:3:4:5:6", "20010db800010002/64"),
        ("2001:db8:1:2::9", "20010db800010002/64"), ("::1", "0000000000000000/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"), ("unix", "unix"), ("fe80::1%eth0", "fe80::1%eth0"),
    ])
    func network(address: String, name: String) {
        #expect(NetworkName.of(address) == name)
    }

    @Test func verifierAcceptsRefusesAndThrottles() async throws {
        let now = AccessDocumentTests.now
        var document = AccessDocument()
        let hash = try PasswordHash(password: Self.bytes("password1"), cost: .cheap)
        try document.createUser(name: "bob", roles: ["readonly"], password: hash, now: now)
        try document.createUser(name: "eve", roles: ["readonly"], password: hash, now: now)
        try document.setEnabled(false, user: "eve")
        let table = AccessTable(document)
        let verifier = PasswordVerifier(attemptsPerMinute: 2)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        func verify(_ name: String, _ password: String) async throws -> String {
            let outcome = try await verifier.verify(
                name: name,
                password: Self.bytes(password),
                address: "10.0.0.1",
                table: table,
                now: MonotonicInstant(seconds: 100),
                eventLoop: loop
            ).get()
            switch outcome {
            case .accepted(let principal): return "accepted \(principal.name)"
            case .refused: return "refused"
            case .throttled(let retryAfter): return "throttled \(retryAfter)"
            case .busy: return "busy"
            }
        }
        // A right password takes no token, however often it comes.
        for _ in 0..<5 { #expect(try await verify("bob", "password1") == "accepted bob") }
        #expect(try await verify("bob", "password2") == "refused")
        #expect(try await verify("bob", "") == "refused")
        #expect(try await verify("bob", "password1") == "throttled 30.0 seconds")
        #expect(try await verify("eve", "password1") == "refused")
        #expect(try await verify("nobody", "password1") == "refused")
        let long = String(repeating: "x", count: Limits.passwordByteCountMax + 1)
        #expect(try await verify("nobody", long) == "refused")
        #expect(try await verify("nobody", "password1") == "throttled 30.0 seconds")
        #expect(try await verify("no such name/", "x") == "refused")
        verifier.setAttempts(perMinute: 1_000)
        #expect(try await verify("eve", "password1") == "refused")
        await verifier.stop()
        #expect(try await verify("eve", "password1") == "busy")
    }
}
