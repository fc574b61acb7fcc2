import Testing

@testable import PrustServer

@Suite struct SettingsValueTests {
    static let endpoints: [(text: String, host: String, port: Int)] = [
        ("127.0.0.1:8000", "127.0.0.1", 8_000),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("localhost:65535", "localhost", 65_535),
        ("db-1.example.net:1", "db-1.example.net", 1),
        ("[::1]:8000", "::1", 8_000),
        ("[::]:8000", "::", 8_000),
        ("[2001:db8::a:1]:80", "2001:db8::a:1", 80),
        ("[1:2:3:4:5:6:7:8]:80", "1:2:3:4:5:6:7:8", 80),
        ("[fe80::]:80", "fe80::", 80),
    ]

    @Test(arguments: endpoints)
    func endpoint(text: String, host: String, port: Int) throws {
        let endpoint = try #require(Endpoint(text))
        #expect(endpoint == Endpoint(host: host, port: port))
        #expect(endpoint.description == text)
    }

    @Test(arguments: [
        "", ":", ":8000", "host", "host:", "host:65536", "host:-1", "host:+1", "host:1x",
        "host:123456", "::1:8000", "[::1]", "[::1]8000", "[:::]:1", "[1::2::3]:1", "[1:2]:1",
        "[1:2:3:4:5:6:7:8:9]:1", "[12345::]:1", "[g::]:1", "[:1]:1", "[1:2:3:4:5:6:7:]:1",
        "[+1::]:1", "1.2.3:1", "1.2.3.256:1", "01.2.3.4:1", "a..b:1", "-a:1", "a b:1", "a/b:1",
        "[]:1", "[127.0.0.1]:1", String(repeating: "a", count: 64) + ":1",
    ])
    func noEndpoint(text: String) {
        #expect(Endpoint(text) == nil)
    }

    @Test func endpointKinds() {
        #expect(Endpoint("0.0.0.0:1")?.isWildcard == true)
        #expect(Endpoint("[::]:1")?.isWildcard == true)
        #expect(Endpoint("127.0.0.1:1")?.isWildcard == false)
        #expect(Endpoint("127.3.0.1:1")?.isLoopback == true)
        #expect(Endpoint("[::1]:1")?.isLoopback == true)
        #expect(Endpoint("128.0.0.1:1")?.isLoopback == false)
        #expect(Endpoint("1.2.3.4:1")?.isNumeric == true)
        #expect(Endpoint("[::1]:1")?.isNumeric == true)
        #expect(Endpoint("db1:1")?.isNumeric == false)
    }

    @Test(arguments: [
        ("0B", 0), ("1B", 1), ("64KiB", 65_536), ("64MiB", 67_108_864), ("3GiB", 3_221_225_472),
        ("1TiB", 1_099_511_627_776), ("8388607TiB", 8_388_607 << 40),
    ])
    func size(text: String, byteCount: Int) {
        #expect(SettingUnit.size(text) == byteCount)
        #expect(SettingUnit.size(byteCount) == text)
    }

    @Test(arguments: [
        "", "B", "64", "64MB", "64 MiB", "-1B", "+1B", "1.5MiB", "0x10B", "8388608TiB",
        "99999999999999999999B", "1MiBB",
    ])
    func noSize(text: String) {
        #expect(SettingUnit.size(text) == nil)
    }

    @Test(arguments: [
        ("250ms", Duration.milliseconds(250)), ("30s", .seconds(30)), ("5m", .seconds(300)),
        ("2h", .seconds(7_200)), ("1d", .seconds(86_400)), ("0s", .zero),
    ])
    func duration(text: String, duration: Duration) {
        #expect(SettingUnit.duration(text) == duration)
        #expect(SettingUnit.duration(duration) == text)
    }

    @Test(arguments: ["", "s", "30", "30 s", "-1s", "1.5s", "1w", "106751991168d", "1m30s"])
    func noDuration(text: String) {
        #expect(SettingUnit.duration(text) == nil)
    }

    @Test func everySettingAtItsBoundsAndPastThem() {
        for key in SettingTable.all {
            func texts(_ low: Int, _ high: Int, _ unit: String) -> ([String], [String]) {
                (["\(low)\(unit)", "\(high)\(unit)"], ["\(low - 1)\(unit)", "\(high + 1)\(unit)"])
            }
            let (good, bad): ([String], [String]) =
                switch key.kind {
                case .integer(let range): texts(range.lowerBound, range.upperBound, "")
                case .size(let range): texts(range.lowerBound, range.upperBound, "B")
                case .duration(let range):
                    texts(
                        SettingUnit.milliseconds(range.lowerBound),
                        SettingUnit.milliseconds(range.upperBound),
                        "ms"
                    )
                case .endpoint(let least):
                    (["a:\(least)", "a:65535"], ["a:\(least - 1)", "a:65536"])
                case .path:
                    (
                        [String(repeating: "p", count: 4_095)],
                        ["", "a\nb", String(repeating: "p", count: 4_096)]
                    )
                case .choice(let names): (names, ["", "no such choice"])
                }
            for text in good { #expect(key.parse(text) != nil, "\(key.name): \(text)") }
            for text in bad { #expect(key.parse(text) == nil, "\(key.name): \(text)") }
        }
    }

    @Test func writingAndReadingAreTheSameField() throws {
        for key in SettingTable.all {
            let text: String =
                switch key.kind {
                case .integer(let range): "\(range.upperBound)"
                case .size(let range): SettingUnit.size(range.upperBound)
                case .duration(let range): SettingUnit.duration(range.upperBound)
                case .endpoint: "other.example:4711"
                case .path: "/somewhere/else"
                case .choice(let names): names.last ?? ""
                }
            let value = try #require(key.parse(text))
            var settings = Settings.defaults
            key.write(&settings, value)
            #expect(key.read(settings) == value, "\(key.name)")
            let changed = Settings.defaults.changes(to: settings).map(\.name)
            #expect(changed == (key.defaultValue == value ? [] : [key.name]))
        }
    }

    @Test func namesAndVariablesAreDistinct() {
        let names = SettingTable.all.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(Set(SettingTable.all.map(\.variable)).count == names.count)
        #expect(
            SettingTable.byName["limits.idle-timeout"]?.variable == "PRUSTDB_LIMITS_IDLE_TIMEOUT"
        )
        for key in SettingTable.all {
            #expect(key.defaultValue.map { key.parse($0.description) == $0 } ?? true, "\(key.name)")
        }
    }

    @Test(arguments: [
        ("limits.conections", "limits.connections"), ("lisen", "listen"),
        ("dtaa-dir", "data-dir"), ("drain-timeout", "shutdown.drain-timeout"),
        ("server.drain-timeout", "shutdown.drain-timeout"), ("tls.cert", nil),
        ("completely-different", nil), (String(repeating: "x", count: 5_000), nil),
    ])
    func spelling(word: String, nearest: String?) {
        #expect(Spelling.nearest(to: word, among: SettingTable.all.map(\.name)) == nearest)
    }
}
