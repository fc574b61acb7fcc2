import PrustCore
import Testing

@testable import PrustServer

@Suite struct SettingsLoadTests {
    static let good = """
        data-dir: /data
        listen: 0.0.0.0:8000
        advertise: db1:8000

        """

    static func loader(_ text: String) -> SettingsLoader {
        var loader = SettingsLoader()
        loader.readFile(Array(text.utf8), name: "p.yaml")
        loader.finish(credentialsDirectory: nil)
        return loader
    }

    @Test func fileThenEnvironmentThenFlags() throws {
        var loader = SettingsLoader()
        let text = Self.good + "limits:\n  connections: 100\n  handshakes: 7\n  pipeline: 9\n"
        loader.readFile(Array(text.utf8), name: "p.yaml")
        loader.readEnvironment([
            "PRUSTDB_LIMITS_CONNECTIONS": "200", "PRUSTDB_LIMITS_HANDSHAKES": "8", "HOME": "/x",
            "PRUSTDB_PROFILE": "/p",
        ])
        loader.readFlags(
            SettingFlags(
                dataDirectory: "/other",
                port: "9000",
                assignments: ["limits.connections=300", "log.level=debug"]
            )
        )
        loader.finish(credentialsDirectory: nil)
        #expect(loader.problems == [])
        let settings = loader.settings
        #expect(settings.limits.connections == 300)
        #expect(settings.limits.handshakes == 8)
        #expect(settings.limits.pipeline == 9)
        #expect(settings.dataDirectory == "/other")
        #expect(settings.listen == Endpoint(host: "0.0.0.0", port: 9_000))
        #expect(settings.advertised == Endpoint(host: "db1", port: 8_000))
        #expect(settings.logLevel == .debug)
        #expect(settings.adminSocket == "/other/admin.sock")
        #expect(settings.tls.key == "/other/identity/node.key")
        #expect(loader.origins["limits.pipeline"] == "p.yaml:7")
        #expect(loader.origins["limits.handshakes"] == "environment (PRUSTDB_LIMITS_HANDSHAKES)")
        #expect(loader.origins["listen"] == "command line (--port)")
    }

    static let problems: [(text: String, problem: String)] = [
        (
            good + "limits:\n  conections: 3",
            "p.yaml:5: limits.conections: found an unknown setting, expected limits.connections "
                + "perhaps"
        ),
        (
            good + "limits:\n  connections: many",
            "p.yaml:5: limits.connections: found \"many\", expected a whole number from 1 to "
                + "1000000"
        ),
        (
            good + "limits.connections: 0",
            "p.yaml:4: limits.connections: found \"0\", expected a whole number from 1 to 1000000"
        ),
        (
            good + "tls.handshake-timeout: 5",
            "p.yaml:4: tls.handshake-timeout: found \"5\", expected a duration such as 30s or "
                + "250ms, from 1s to 1m"
        ),
        (
            good + "limits: 5",
            "p.yaml:4: limits: found \"5\", expected a section with lines under it"
        ),
        (
            good + "log.level:\n  x: 1",
            "p.yaml:4: log.level: found a section, expected trace or debug or info or notice or "
                + "warning or error or critical"
        ),
        (
            good + "log.level: [info]",
            "p.yaml:4: log.level: found a list, expected trace or debug or info or notice or "
                + "warning or error or critical"
        ),
        (
            "data-dir: /data\nadvertise: db1:8000",
            "p.yaml: listen: found nothing, expected an address HOST:PORT or \"[IPV6]:PORT\" "
                + "with a port from 0 to 65535"
        ),
        (
            "data-dir: /data\nlisten: 0.0.0.0:1",
            "p.yaml: advertise: found nothing, expected an address HOST:PORT or "
                + "\"[IPV6]:PORT\" with a port from 1 to 65535"
        ),
        (
            "data-dir: /d\nlisten: a:1\nadvertise: 0.0.0.0:1",
            "p.yaml:3: advertise: found \"0.0.0.0:1\", expected an address that others can connect "
                + "to, such as this machine's name"
        ),
        (
            "listen: a:1\nadvertise: a:1",
            "settings: data-dir: found nothing, expected a directory (data-dir in the file, or "
                + "--data-dir)"
        ),
        (
            good + "metrics.listen: 0.0.0.0:8000",
            "p.yaml:4: metrics.listen: found the address of listen, expected another port"
        ),
        (
            good + "limits:\n  connections: 5\n  connections-per-address: 6",
            "p.yaml:6: limits.connections-per-address: found \"6\", expected at most "
                + "limits.connections (5)"
        ),
        (
            good + "tls.key: credential:node.key",
            "p.yaml:4: tls.key: found \"credential:node.key\" without $CREDENTIALS_DIRECTORY, "
                + "expected a unit with LoadCredential=node.key:PATH"
        ),
        (
            good + "tls.key: credential:../x",
            "p.yaml:4: tls.key: found \"credential:../x\", expected credential:NAME"
        ),
    ]

    @Test(arguments: problems)
    func problem(text: String, problem: String) {
        let found = Self.loader(text).problems.map(\.description)
        // Numbers stand without quotes in the one place that formats them.
        #expect(found.map { $0.replacing("found 6,", with: "found \"6\",") } == [problem])
    }

    @Test func allProblemsAtOnce() {
        let loader = Self.loader("lisen: a:1\nadvertise: x\nlog:\n  level: loud\n  levle: 1\n")
        #expect(loader.problems.map(\.line) == [1, 2, 4, 5, nil])
        #expect(loader.problems.last?.field == "listen")
    }

    @Test func tooLong() {
        let limit = PrustCore.Limits.settingsByteCountMax
        let text = Self.good + "#"
        let padding = String(repeating: "x", count: limit - text.utf8.count)
        #expect(Self.loader(text + padding).problems == [])
        #expect(Self.loader(text + padding + "x").problems.map(\.found) == ["\(limit + 1) bytes"])
    }

    @Test func unknownVariables() {
        var loader = SettingsLoader()
        loader.readEnvironment(["PRUSTDB_LISTN": "a:1", "PRUSTDB_": "x", "XPRUSTDB_A": "y"])
        #expect(
            loader.problems.map(\.description) == [
                "environment: PRUSTDB_: found a variable that is no setting, expected a setting's "
                    + "variable",
                "environment: PRUSTDB_LISTN: found a variable that is no setting, expected "
                    + "PRUSTDB_LISTEN perhaps",
            ]
        )
    }

    @Test func badFlags() {
        var loader = SettingsLoader()
        loader.readFlags(SettingFlags(port: "70000", assignments: ["x", "a=b", "log.level=no"]))
        #expect(loader.problems.map(\.field) == ["--set", "a", "--set log.level", "--port"])
    }

    @Test func withoutAFileNothingButADirectoryIsNeeded() throws {
        let flags = SettingFlags(dataDirectory: "/d", port: "8000")
        let settings = try Settings.load(file: nil, environment: [:], flags: flags)
        #expect(settings.listen == Endpoint(host: "127.0.0.1", port: 8_000))
        #expect(settings.advertise == nil)
        #expect(settings.limits.connections == 20_000)
        #expect(throws: SettingsError.self) {
            try Settings.load(file: nil, environment: [:], flags: SettingFlags())
        }
    }

    @Test func missingFileIsNamed() throws {
        do throws(SettingsError) {
            _ = try Settings.load(file: "/no/such", environment: [:], flags: SettingFlags())
            Issue.record("expected an error")
        } catch {
            let expected =
                "/no/such: found cannot be opened: No such file or directory, "
                + "expected a settings file that can be read"
            #expect(error.description == expected)
        }
    }

    @Test func credentials() {
        var loader = SettingsLoader()
        let text = Self.good + "tls:\n  key: credential:node.key\n  ca: /etc/ca.crt\n"
        loader.readFile(Array(text.utf8), name: "p.yaml")
        loader.finish(credentialsDirectory: "/run/c")
        #expect(loader.problems == [])
        #expect(loader.settings.tls.key == "/run/c/node.key")
        #expect(loader.settings.tls.authority == "/etc/ca.crt")
        #expect(loader.settings.tls.certificate == "/data/identity/node.crt")
    }

    @Test func reloadTakesWhatItCan() {
        let before = Self.loader(Self.good).settings
        let text = Self.good + "log.level: debug\nlimits.connections: 5\nauth.attempts: 3\n"
        let after = Self.loader(text).settings
        let changes = before.changes(to: after)
        #expect(changes.filter(\.takesEffect).map(\.name) == ["log.level", "auth.attempts"])
        #expect(changes.filter { !$0.takesEffect }.map(\.name).contains("limits.connections"))
        let reloaded = before.reloaded(from: Settings.Loaded(settings: after, origins: [:]))
        #expect(reloaded.logLevel == .debug)
        #expect(reloaded.authAttempts == 3)
        #expect(reloaded.limits.connections == 20_000)
    }

    /// A new data directory waits for a restart, and so do the paths that follow it.
    @Test func reloadKeepsPathsOfTheOldDirectory() {
        let before = Self.loader(Self.good).settings
        let text = """
            data-dir: /other
            listen: 0.0.0.0:8000
            advertise: db1:8000
            tls.ca: /etc/ca.crt
            log.level: debug

            """
        let loader = Self.loader(text)
        let reloaded = before.reloaded(
            from: Settings.Loaded(settings: loader.settings, origins: loader.origins)
        )
        #expect(loader.settings.tls.certificate == "/other/identity/node.crt")
        #expect(reloaded.tls.certificate == "/data/identity/node.crt")
        #expect(reloaded.tls.authority == "/etc/ca.crt")
        #expect(reloaded.logLevel == .debug)
    }

    @Test func theManualsFileReadsBack() {
        var settings = Self.loader(Self.good).settings
        settings.listen = Endpoint(host: "::1", port: 8_000)
        settings.dataDirectory = "/path with: odd #things"
        let text = SettingsManual.yaml(settings, origins: ["listen": "p.yaml:2"])
        #expect(text.contains("# From p.yaml:2."))
        let loader = Self.loader(text)
        #expect(loader.problems == [])
        #expect(loader.settings == settings)
    }
}
