import Foundation
import Testing

@testable import PrustServer

@Suite struct ConfigFileTests {
    static let table: [(text: String, result: String)] = [
        ("", "listen: a:1\n"),
        ("data-dir: /d", "data-dir: /d\nlisten: a:1\n"),
        ("listen: old:1 # why\nx: y\n", "listen: a:1\nx: y\n"),
        ("# listen: HOST:PORT\nx: y\n", "listen: a:1\nx: y\n"),
        ("#listen:\n# listen: z\n", "listen: a:1\n# listen: z\n"),
        ("metrics:\n  listen: m:1\n", "metrics:\n  listen: m:1\nlisten: a:1\n"),
        ("# listens: x\n", "# listens: x\nlisten: a:1\n"),
        ("# listen: x\nlisten: old:2\n", "# listen: x\nlisten: a:1\n"),
    ]

    @Test(arguments: table)
    func setting(text: String, result: String) {
        #expect(ConfigFile.setting("listen", to: "a:1", in: text) == result)
        #expect(ConfigFile.setting("listen", to: "a:1", in: result) == result)
    }

    @Test func valuesAreQuotedWhereNeeded() {
        #expect(ConfigFile.setting("listen", to: "[::1]:1", in: "") == "listen: '[::1]:1'\n")
    }

    @Test func bootstrapReadsAndCompletesAFreshFile() async throws {
        try await AccessStoreTests.withDirectory { directory in
            let path = directory + "/prustdb.yaml"
            let text = "data-dir: /var/lib/x\n# listen: 0.0.0.0:8000\ncluster.partition-bits: 5\n"
            try Data(text.utf8).write(to: URL(filePath: path))
            let config = try BootstrapConfig(path: path, fallback: "/no/such")
            #expect(config.dataDirectory == "/var/lib/x")
            #expect(config.partitionBits == 5)
            #expect(config.advertise == nil)
            let listen = Endpoint(host: "0.0.0.0", port: 8_000)
            let advertise = Endpoint(host: "db1", port: 8_000)
            try config.write(listen: listen, advertise: advertise)
            let settings = try Settings.load(file: path, environment: [:], flags: SettingFlags())
            #expect(settings.listen == listen)
            #expect(settings.advertise == advertise)
        }
    }

    @Test func bootstrapRefusesABrokenFile() {
        #expect(throws: SettingsError.self) {
            try BootstrapConfig(text: Array("lisen: a:1\n".utf8), name: "p")
        }
        #expect(throws: (any Error).self) {
            try BootstrapConfig(path: "/no/such", fallback: "/no/such/either")
        }
    }

    @Test func withoutAFileTheDefaultsCount() throws {
        let config = try BootstrapConfig(path: nil, fallback: "/no/such")
        #expect(config.path == nil)
        #expect(config.listen == Settings.defaults.listen)
    }

    @Test func profiles() throws {
        let good = "nodes: [\"a:1\"]\nca: /c\ncert: /d\nkey: '/e f'\n"
        let profile = try ClientProfile(bytes: Array(good.utf8), name: "p")
        #expect(profile == ClientProfile(authority: "/c", certificate: "/d", key: "/e f"))
        let error = #expect(throws: SettingsError.self) {
            try ClientProfile(bytes: Array("ca: /c\n".utf8), name: "p")
        }
        #expect(error?.problems.map(\.field) == ["cert", "key"])
    }
}
