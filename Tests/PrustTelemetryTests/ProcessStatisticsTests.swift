import Foundation
import PrustTelemetry
import Testing

@Suite struct ProcessStatisticsTests {
    static let status = """
        Name:\tprust: 1 kB
        VmSize:\t  2048 kB
        VmRSS:\t     512 kB
        RssAnon:\t  nothing kB
        Threads:\t7

        """

    static let fields: [(ProcessStatistics.StatusField, Double?)] = [
        (.virtualMemory, 2_097_152), (.residentMemory, 524_288), (.anonymousMemory, nil),
        (.threads, 7),
    ]

    @Test(arguments: fields)
    func statusField(field: ProcessStatistics.StatusField, expected: Double?) {
        #expect(ProcessStatistics.status(field, in: Self.status) == expected)
        #expect(ProcessStatistics.status(field, in: "") == nil)
    }

    static let stats: [(String, Double?)] = [
        ("1 (a) S 1 1 1 0 -1 4 5 6 7 8 9 10 11 12 20 0 3 0 4711 0", 4711),
        ("1 (a) b ) (c) S 1 1 1 0 -1 4 5 6 7 8 9 10 11 12 20 0 3 0 4711 0\n", 4711),
        ("1 (a) S 1 1", nil),
        ("", nil),
    ]

    @Test(arguments: stats)
    func startTicks(text: String, expected: Double?) {
        #expect(ProcessStatistics.startTicks(in: text) == expected)
    }

    @Test func thisProcessHasPlausibleFigures() throws {
        let resident = try #require(ProcessStatistics.status(.residentMemory))
        let anonymous = try #require(ProcessStatistics.status(.anonymousMemory))
        let virtual = try #require(ProcessStatistics.status(.virtualMemory))
        #expect(resident > 1_000_000 && anonymous <= resident && resident < virtual)
        #expect(try #require(ProcessStatistics.status(.threads)) >= 1)
        #expect(try #require(ProcessStatistics.openFileCount()) >= 3)
        let limit = try #require(ProcessStatistics.openFileCountMax())
        #expect(limit >= (try #require(ProcessStatistics.openFileCount())))
        #expect(ProcessStatistics.cpuSeconds() > 0)
        let start = try #require(ProcessStatistics.startTime())
        let boot = Date.now.timeIntervalSince1970 - ProcessInfo.processInfo.systemUptime
        #expect(start > boot - 86_400 && start < Date.now.timeIntervalSince1970 + 1)
    }

    @Test func processMetricsAreRegistered() {
        let registry = MetricsRegistry()
        registry.registerProcessMetrics()
        let page = registry.exposition()
        for name in [
            "process_cpu_seconds_total", "process_max_fds", "process_open_fds",
            "process_resident_anonymous_memory_bytes", "process_resident_memory_bytes",
            "process_start_time_seconds", "process_threads", "process_virtual_memory_bytes",
        ] {
            #expect(page.contains("\n\(name) "), "\(name) is missing")
        }
    }
}
