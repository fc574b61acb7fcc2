import FoundationEssentials
import Testing

@testable import PrustDBClient

@Suite struct ClientProfileTests {
    @Test func pathsAreRelativeToTheFile() throws {
        let text = """
            nodes:
              - 127.0.0.1:8000
              - "[::1]:8001"
            ca: ca.crt
            cert: /abs/client.crt
            key: sub/client.key
            """
        let profile = try ClientProfile(text: text, file: "/etc/p/client.yaml")
        #expect(profile.nodes.map { $0.description } == ["127.0.0.1:8000", "[::1]:8001"])
        #expect(
            profile.credentials.description
                == "credentials(ca: /etc/p/ca.crt, certificate: /abs/client.crt,"
                + " key: /etc/p/sub/client.key)"
        )
    }

    static let invalid: [(text: String, message: String)] = [
        ("", "p.yaml:1: fields such as 'nodes:' are expected"),
        ("- a", "p.yaml:1: fields such as 'nodes:' are expected"),
        ("ca: x\ncert: y\nkey: z", "p.yaml: nodes: missing"),
        ("nodes: [a:1]", "p.yaml: ca: missing"),
        ("nodes: [a:1]\nca: x", "p.yaml: cert: missing, 'cert' and 'key' or 'user' are expected"),
        ("nodes: [a:1]\nca: x\ncert: y", "p.yaml: key: missing"),
        ("nodes: [a:1]\nca: x\nkey: y", "p.yaml: cert: missing"),
        (
            "nodes: a:1\nca: x\ncert: y\nkey: z",
            "p.yaml:1: nodes: a list of 1 to 1,000 HOST:PORT is expected"
        ),
        (
            "ca: x\nnodes: []\ncert: y\nkey: z",
            "p.yaml:2: nodes: a list of 1 to 1,000 HOST:PORT is expected"
        ),
        (
            "nodes:\n  - a:1\n  - b\nca: x\ncert: y\nkey: z",
            "p.yaml:3: nodes: 'b' is no address, HOST:PORT is expected, for example"
                + " 127.0.0.1:8000"
        ),
        ("nodes: [a:1]\nca: [1]\ncert: y\nkey: z", "p.yaml:2: ca: a text is expected"),
        (
            "nodes: [a:1]\ncafile: x",
            "p.yaml:2: cafile: unknown field, one of nodes, ca, cert, key, user, password-file is"
                + " expected"
        ),
    ]

    @Test(arguments: invalid)
    func errorsNameFileLineAndField(text: String, message: String) {
        let error = #expect(throws: ClientError.self) {
            try ClientProfile(text: text, file: "p.yaml")
        }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message == message)
    }

    @Test func brokenYAMLIsToldOnOneLine() {
        let error = #expect(throws: ClientError.self) {
            try ClientProfile(text: "nodes: [", file: "p.yaml")
        }
        #expect(error?.message.hasPrefix("p.yaml") == true)
        #expect(error?.message.contains("\n") == false)
    }

    @Test func passwordComesFromAFileAndIsNotShown() throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "prustdb-profile-\(UInt64.random(in: .min ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data("s3cret\n".utf8).write(to: folder.appending(path: "pw"))
        let file = folder.appending(path: "client.yaml")
        let text = "nodes: [a:1]\nca: ca.crt\nuser: me\npassword-file: pw\n"
        try Data(text.utf8).write(to: file)
        let profile = try ClientProfile.load(file: file.path)
        guard case .password("me", "s3cret") = profile.credentials.proof else {
            Issue.record("no password")
            return
        }
        var dumped = ""
        dump(profile.credentials, to: &dumped)
        for shown in ["\(profile.credentials)", String(reflecting: profile.credentials), dumped] {
            #expect(!shown.contains("s3cret"))
        }
        let missing = #expect(throws: ClientError.self) {
            try ClientProfile.load(file: folder.appending(path: "none").path)
        }
        #expect(missing?.message.hasSuffix("none: not found") == true)
    }

    @Test func whereTheProfileIs() throws {
        #expect(
            try ClientProfile.path(environment: ["PRUSTDB_PROFILE": "/p", "HOME": "/h"]) == "/p"
        )
        #expect(
            try ClientProfile.path(environment: ["PRUSTDB_PROFILE": "", "HOME": "/h"])
                == "/h/.config/prustdb/client.yaml"
        )
        #expect(throws: ClientError.self) { try ClientProfile.path(environment: [:]) }
    }

    static let addresses: [(text: String, host: String?, port: Int)] = [
        ("127.0.0.1:8000", "127.0.0.1", 8_000), ("node.example:1", "node.example", 1),
        ("[::1]:65535", "::1", 65_535), ("a", nil, 0), ("a:", nil, 0), (":1", nil, 0),
        ("a:0", nil, 0), ("a:65536", nil, 0), ("a:-1", nil, 0), ("::1:8000", nil, 0),
        ("[]:1", nil, 0), ("a b:1", nil, 0), ("a\n:1", nil, 0), ("a:1x", nil, 0),
    ]

    @Test(arguments: addresses)
    func addressesAreChecked(text: String, host: String?, port: Int) {
        let address = try? NodeAddress(text)
        #expect(address == host.map { NodeAddress(host: $0, port: port) })
    }

    @Test func configurationIsValidatedAtItsBounds() throws {
        let rows: [(isValid: Bool, change: (inout ClientConfiguration) -> Void)] = [
            (true, { _ in }),
            (true, { $0.connectionCountMax = 256 }), (false, { $0.connectionCountMax = 257 }),
            (false, { $0.connectionCountMax = 0 }),
            (true, { $0.connectionCountMin = 4 }), (false, { $0.connectionCountMin = 5 }),
            (false, { $0.connectionCountMin = 0 }),
            (true, { $0.pipelineDepthMax = 1 }), (false, { $0.pipelineDepthMax = 0 }),
            (false, { $0.pipelineDepthMax = 65_537 }),
            (true, { $0.waitingCountMax = 0 }), (false, { $0.waitingCountMax = -1 }),
            (true, { $0.deadline = .seconds(86_400) }), (false, { $0.deadline = .seconds(86_401) }),
            (false, { $0.deadline = .zero }), (false, { $0.connectTimeout = .seconds(-1) }),
            (true, { $0.valueByteCountMax = 1 }),
            (false, { $0.valueByteCountMax = 16 * 1024 * 1024 + 1 }),
            (false, { $0.readAttemptCountMax = 0 }),
        ]
        for (index, row) in rows.enumerated() {
            var configuration = ClientConfiguration()
            row.change(&configuration)
            let isValid = (try? configuration.validate()) != nil
            #expect(isValid == row.isValid, "row \(index)")
        }
    }
}
