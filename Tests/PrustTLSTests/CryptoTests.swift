import PrustCore
import PrustTLS
import Testing

@Suite struct CryptoTests {
    static let digests: [(text: String, hex: String)] = [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            String(repeating: "a", count: 1_000_000),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        ),
    ]

    @Test(arguments: digests)
    func keyID(text: String, hex: String) {
        let bytes = Array(text.utf8)
        #expect(bytes.withUnsafeBytes { Crypto.keyID(of: $0) }.description == hex)
        #expect(Hex.encode(Crypto.sha256(bytes)) == hex)
    }

    @Test func keyIDOfNothing() {
        let id = Crypto.keyID(of: UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(id.description.hasPrefix("e3b0c44298fc1c14"))
    }

    /// Vectors of RFC 7914, section 12.
    static let vectors:
        [(password: String, salt: String, n: UInt64, r: UInt64, p: UInt64, hex: String)] =
            [
                (
                    "", "", 16, 1, 1,
                    "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
                ),
                (
                    "password", "NaCl", 1024, 8, 16,
                    "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
                ),
                (
                    "pleaseletmein", "SodiumChloride", 16_384, 8, 1,
                    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
                ),
            ]

    @Test(arguments: vectors)
    func scrypt(
        password: String,
        salt: String,
        n: UInt64,
        r: UInt64,
        p: UInt64,
        hex: String
    ) throws {
        let key = try Crypto.scrypt(
            password: Array(password.utf8),
            salt: Array(salt.utf8),
            n: n,
            r: r,
            p: p,
            keyByteCount: 32
        )
        #expect(Hex.encode(key) == hex)
    }

    static let badParameters: [(n: UInt64, r: UInt64, p: UInt64, count: Int)] = [
        (0, 8, 1, 32), (1, 8, 1, 32), (1000, 8, 1, 32), (1 << 20, 8, 1, 32), (1 << 40, 8, 1, 32),
        (16_384, .max, 1, 32), (16_384, 8, .max, 32), (16, 1, 1, 0), (16, 1, 1, 1025),
        (16, 1, 1, -1),
    ]

    @Test(arguments: badParameters)
    func scryptRefuses(n: UInt64, r: UInt64, p: UInt64, count: Int) {
        #expect {
            try Crypto.scrypt(password: [1], salt: [2], n: n, r: r, p: p, keyByteCount: count)
        } throws: { error in
            (error as? TLSError)?.code == .badParameters
        }
    }

    @Test func randomBytesDiffer() throws {
        #expect(try Crypto.randomBytes(0).isEmpty)
        #expect(try Crypto.randomBytes(32) != Crypto.randomBytes(32))
        #expect(try NodeID.random() != NodeID.random())
        #expect(try StorageID.random() != StorageID.random())
    }

    @Test func comparison() {
        #expect(Crypto.isEqual([], []))
        #expect(Crypto.isEqual([1, 2, 3], [1, 2, 3]))
        #expect(!Crypto.isEqual([1, 2, 3], [1, 2, 4]))
        #expect(!Crypto.isEqual([1, 2, 3], [1, 2]))
    }

    static let identities: [(uri: String, isValid: Bool)] = [
        ("prustdb://node/" + String(repeating: "0a", count: 32), true),
        ("prustdb://node/" + String(repeating: "0A", count: 32), false),
        ("prustdb://node/" + String(repeating: "0a", count: 31), false),
        ("prustdb://node/" + String(repeating: "0a", count: 33), false),
        ("prustdb://node/" + String(repeating: "0g", count: 32), false),
        ("prustdb://node/", false),
        ("prustdb://client/alice", true),
        ("prustdb://client/" + String(repeating: "a", count: 64), true),
        ("prustdb://client/" + String(repeating: "a", count: 65), false),
        ("prustdb://client/A.b_c-9", true),
        ("prustdb://client/", false),
        ("prustdb://client/a/b", false),
        ("prustdb://client/a b", false),
        ("prustdb://client/\u{e4}", false),
        ("prustdb://client/a\u{0}", false),
        ("PRUSTDB://client/alice", false),
        ("https://client/alice", false),
        ("", false),
    ]

    @Test(arguments: identities)
    func identity(uri: String, isValid: Bool) {
        #expect((PeerIdentity(uri: uri) != nil) == isValid)
        if isValid { #expect(PeerIdentity(uri: uri)?.uri == uri) }
    }

    @Test func anIdentityIsExactlyOneURI() {
        #expect(PeerIdentity(uris: ["prustdb://client/a"]) == .client("a"))
        #expect(PeerIdentity(uris: ["https://x", "prustdb://client/a"]) == .client("a"))
        #expect(PeerIdentity(uris: ["prustdb://client/a", "prustdb://client/b"]) == nil)
        #expect(PeerIdentity(uris: ["prustdb://client/a", "prustdb:junk"]) == nil)
        #expect(PeerIdentity(uris: []) == nil)
    }
}
