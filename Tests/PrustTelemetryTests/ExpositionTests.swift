import Foundation
import PrustTelemetry
import Testing

@Suite struct ExpositionTests {
    @Test func pageIsSortedWithOneHeadPerFamily() {
        let registry = MetricsRegistry()
        let set = registry.counter(
            "prustdb_commands_total",
            help: "Commands.",
            labels: ["outcome": "ok", "command": "set"]
        )
        let get = registry.counter(
            "prustdb_commands_total",
            help: "Commands.",
            labels: ["command": "get", "outcome": "ok"]
        )
        let open = registry.gauge("prustdb_clients", help: "Open clients.")
        registry.gauge("prustdb_ratio", help: "A ratio.") { 0.25 }
        get.add(3)
        set.add(1)
        open.set(-1)
        #expect(
            registry.exposition() == """
                # HELP prustdb_clients Open clients.
                # TYPE prustdb_clients gauge
                prustdb_clients -1
                # HELP prustdb_commands_total Commands.
                # TYPE prustdb_commands_total counter
                prustdb_commands_total{command="get",outcome="ok"} 3
                prustdb_commands_total{command="set",outcome="ok"} 1
                # HELP prustdb_ratio A ratio.
                # TYPE prustdb_ratio gauge
                prustdb_ratio 0.25

                """
        )
        #expect(registry.names == ["prustdb_clients", "prustdb_commands_total", "prustdb_ratio"])
    }

    @Test func histogramIsCumulative() {
        let registry = MetricsRegistry()
        let sizes = registry.histogram(
            "prustdb_value_bytes",
            help: "Sizes.",
            scale: .bytes,
            labels: ["kind": "a"]
        )
        for value in [64, 65, 1024, 1 << 40] as [UInt64] { sizes.record(value, shard: 3) }
        let lines = registry.exposition().split(separator: "\n").map(String.init)
        #expect(lines.count == 2 + 12 + 2)
        #expect(lines[1] == "# TYPE prustdb_value_bytes histogram")
        #expect(lines[2] == "prustdb_value_bytes_bucket{kind=\"a\",le=\"64\"} 1")
        #expect(lines[3] == "prustdb_value_bytes_bucket{kind=\"a\",le=\"256\"} 2")
        #expect(lines[4] == "prustdb_value_bytes_bucket{kind=\"a\",le=\"1024\"} 3")
        #expect(lines[12] == "prustdb_value_bytes_bucket{kind=\"a\",le=\"67108864\"} 3")
        #expect(lines[13] == "prustdb_value_bytes_bucket{kind=\"a\",le=\"+Inf\"} 4")
        #expect(lines[14] == "prustdb_value_bytes_sum{kind=\"a\"} 1099511628929")
        #expect(lines[15] == "prustdb_value_bytes_count{kind=\"a\"} 4")
    }

    @Test func durationsAreExposedInSeconds() {
        let registry = MetricsRegistry()
        let latency = registry.histogram("prustdb_x_seconds", help: "X.", scale: .seconds)
        latency.record(nanoseconds: 1_500_000_000)
        let page = registry.exposition()
        for bound in ["0.000001", "0.000002", "0.001024", "1.048576", "67.108864"] {
            #expect(page.contains("prustdb_x_seconds_bucket{le=\"\(bound)\"}"))
        }
        #expect(page.contains("prustdb_x_seconds_bucket{le=\"1.048576\"} 0\n"))
        #expect(page.contains("prustdb_x_seconds_bucket{le=\"2.097152\"} 1\n"))
        #expect(page.contains("prustdb_x_seconds_sum 1.5\n"))
    }

    @Test func textIsEscaped() {
        let registry = MetricsRegistry()
        registry.gauge(
            "prustdb_escaped",
            help: "Back\\slash, \"quote\"\nand line.",
            labels: ["path": "C:\\x\"y\"\nz ü"]
        ) { 1 }
        let lines = registry.exposition().split(separator: "\n")
        #expect(lines[0] == "# HELP prustdb_escaped Back\\\\slash, \"quote\"\\nand line.")
        #expect(lines[2] == "prustdb_escaped{path=\"C:\\\\x\\\"y\\\"\\nz ü\"} 1")
    }

    static let numbers: [(Double, String)] = [
        (0, "0"), (-3, "-3"), (1.5, "1.5"), (1e9, "1000000000"), (.nan, "NaN"),
        (.infinity, "+Inf"), (-.infinity, "-Inf"), (1e20, "1e+20"), (0.000012, "1.2e-05"),
    ]

    @Test(arguments: numbers)
    func numbersAreAsPrometheusReadsThem(value: Double, text: String) {
        let registry = MetricsRegistry()
        registry.gauge("prustdb_number", help: "A number.") { value }
        #expect(registry.exposition().hasSuffix("\nprustdb_number \(text)\n"))
    }

    @Test func collectedGaugesAreSortedAndUnique() {
        let registry = MetricsRegistry()
        registry.gauges("prustdb_file_bytes", help: "Files.") {
            [
                MetricSample(labels: ["file": "b"], value: 2),
                MetricSample(labels: ["file": "a"], value: 1),
                MetricSample(labels: ["file": "b"], value: 3),
            ]
        }
        registry.gauges("prustdb_nothing", help: "Nothing.") { [] }
        #expect(
            registry.exposition() == """
                # HELP prustdb_file_bytes Files.
                # TYPE prustdb_file_bytes gauge
                prustdb_file_bytes{file="a"} 1
                prustdb_file_bytes{file="b"} 2

                """
        )
    }

    @Test func promtoolHasNothingToSay() throws {
        let promtool = "/usr/bin/promtool"
        guard FileManager.default.isExecutableFile(atPath: promtool) else {
            print("skipped: \(promtool) is not installed (Debian package prometheus)")
            return
        }
        let registry = MetricsRegistry()
        registry.registerProcessMetrics()
        registry.registerBuildInfo("prustdb_build_info", labels: ["version": "1.2.3"])
        for outcome in ["ok", "error", "de\"ni\\ed\n"] {
            let labels = ["command": "get", "outcome": outcome]
            registry.counter("prustdb_commands_total", help: "C.", labels: labels).add(4)
            registry.histogram(
                "prustdb_command_duration_seconds",
                help: "D.",
                scale: .seconds,
                labels: labels
            ).record(nanoseconds: 77_777)
        }
        registry.histogram("prustdb_log_batch_bytes", help: "B.", scale: .bytes).record(9)
        registry.histogram("prustdb_log_batch_records", help: "R.", scale: .count).record(9)
        let process = Process()
        process.executableURL = URL(filePath: promtool)
        process.arguments = ["check", "metrics"]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(registry.exposition().utf8))
        try input.fileHandleForWriting.close()
        let said = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(String(decoding: said, as: UTF8.self) == "")
        #expect(process.terminationStatus == 0)
    }
}
