import PrustTelemetry
import Testing

@Suite struct MetricNameTests {
    static let metrics: [(name: String, kind: MetricKind, good: Bool)] = [
        ("prustdb_commands_total", .counter, true),
        ("prustdb_commands", .counter, false),
        ("prustdb_clients", .gauge, true),
        ("prustdb_clients_total", .gauge, false),
        ("prustdb_clients_count", .gauge, false),
        ("prustdb_clients_sum", .gauge, false),
        ("prustdb_clients_bucket", .gauge, false),
        ("prustdb_fsync_duration_seconds", .histogram(.seconds), true),
        ("prustdb_fsync_duration", .histogram(.seconds), false),
        ("prustdb_batch_bytes", .histogram(.bytes), true),
        ("prustdb_batch_size", .histogram(.bytes), false),
        ("prustdb_batch_records", .histogram(.count), true),
        ("prustdb_fsync_milliseconds", .gauge, false),
        ("prustdb_fsync_ms", .gauge, false),
        ("prustdb_free_percent", .gauge, false),
        ("prustdb_some_gauge", .gauge, false),
        ("", .gauge, false),
        ("9lives", .gauge, false),
        ("Prust", .gauge, false),
        ("a-b", .gauge, false),
        ("a:b", .gauge, false),
        ("naïve", .gauge, false),
    ]

    @Test(arguments: metrics)
    func metric(name: String, kind: MetricKind, good: Bool) {
        #expect((MetricName.problem(metric: name, kind: kind) == nil) == good)
    }

    static let labels: [(name: String, good: Bool)] = [
        ("command", true), ("a1", true), ("_x", true), ("__x", false), ("le", false),
        ("quantile", false), ("", false), ("1a", false), ("A", false), ("a-b", false),
    ]

    @Test(arguments: labels)
    func label(name: String, good: Bool) {
        #expect((MetricName.problem(label: name) == nil) == good)
    }

    @Test func sameSeriesTwiceStopsTheProcess() async {
        await #expect(processExitsWith: .failure) {
            let registry = MetricsRegistry()
            _ = registry.counter("prustdb_a_total", help: "A.", labels: ["x": "1"])
            _ = registry.counter("prustdb_a_total", help: "A.", labels: ["x": "1"])
        }
    }

    @Test func otherTypeHelpOrLabelNamesStopTheProcess() async {
        await #expect(processExitsWith: .failure) {
            let registry = MetricsRegistry()
            _ = registry.histogram("prustdb_a_bytes", help: "A.", scale: .bytes)
            _ = registry.gauge("prustdb_a_bytes", help: "A.")
        }
        await #expect(processExitsWith: .failure) {
            let registry = MetricsRegistry()
            _ = registry.gauge("prustdb_a", help: "A.", labels: ["x": "1"])
            _ = registry.gauge("prustdb_a", help: "B.", labels: ["x": "2"])
        }
        await #expect(processExitsWith: .failure) {
            let registry = MetricsRegistry()
            _ = registry.gauge("prustdb_a", help: "A.", labels: ["x": "1"])
            _ = registry.gauge("prustdb_a", help: "A.", labels: ["y": "1"])
        }
    }

    @Test func badNameStopsTheProcess() async {
        await #expect(processExitsWith: .failure) {
            _ = MetricsRegistry().counter("prustdb_a", help: "A.")
        }
        await #expect(processExitsWith: .failure) {
            _ = MetricsRegistry().gauge("prustdb_a", help: "")
        }
        await #expect(processExitsWith: .failure) {
            _ = MetricsRegistry().gauge("prustdb_a", help: "A.", labels: ["le": "1"])
        }
    }
}
