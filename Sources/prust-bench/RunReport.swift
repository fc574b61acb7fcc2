import Histogram

/// The result of a run, for scripts as JSON and for people as a table.
struct RunReport: Encodable {
    /// Latencies in microseconds, from the moment at which an operation was due.
    struct Latency: Encodable {
        let mean: Double
        let p50: Double
        let p90: Double
        let p99: Double
        let p999: Double
        let max: Double
    }

    struct Line: Encodable {
        let operation: String
        let count: Int
        let perSecond: Double
        let misses: Int
        let microseconds: Latency
    }

    let seconds: Double
    let connections: Int
    let pipeline: Int
    let threads: Int
    let rate: Int?
    let keys: Int
    let seed: UInt64
    let count: Int
    let perSecond: Double
    let operations: [Line]
    let total: Latency
    let errors: [String: Int]
    let reconnects: Int
    /// Why the run ended before its time, if it did.
    let error: String?

    init(_ plan: RunPlan, _ measurements: Measurements, seconds: Double) {
        self.seconds = seconds
        self.connections = plan.connectionCount
        self.pipeline = plan.pipelineDepth
        self.threads = plan.threadCount
        self.rate = plan.rate
        self.keys = plan.keyCount
        self.seed = plan.seed
        var all = Measurements.Series()
        var lines: [Line] = []
        for (index, operation) in Operation.allCases.enumerated() {
            let series = measurements.series[index]
            let count = Int(series.latencies.totalCount)
            guard count > 0 else { continue }
            all.add(series)
            lines.append(
                Line(
                    operation: operation.rawValue,
                    count: count,
                    perSecond: Double(count) / seconds,
                    misses: series.missCount,
                    microseconds: Self.latency(series)
                )
            )
        }
        self.operations = lines
        self.count = Int(all.latencies.totalCount)
        self.perSecond = Double(self.count) / seconds
        self.total = Self.latency(all)
        self.errors = measurements.errors
        self.reconnects = measurements.reconnectCount
        self.error = measurements.outage
    }

    private static func latency(_ series: Measurements.Series) -> Latency {
        let latencies = series.latencies
        func microseconds(_ percentile: Double) -> Double {
            Double(latencies.valueAtPercentile(percentile)) / 1_000
        }
        let isEmpty = latencies.totalCount == 0
        return Latency(
            mean: isEmpty ? 0 : latencies.mean / 1_000,
            p50: microseconds(50),
            p90: microseconds(90),
            p99: microseconds(99),
            p999: microseconds(99.9),
            max: isEmpty ? 0 : Double(latencies.max) / 1_000
        )
    }

    var table: String {
        let mode = self.rate.map { ", \(Terminal.grouped($0)) /s asked for" } ?? ""
        var rows = [
            "\(Terminal.grouped(self.count)) operations in \(Terminal.decimal(self.seconds)) s,"
                + " \(Terminal.grouped(Int(self.perSecond))) /s"
                + " (\(self.connections) connections, pipeline \(self.pipeline)\(mode))"
        ]
        let head = [
            "", "count", "per s", "p50 us", "p90 us", "p99 us", "p99.9 us", "max us", "misses",
        ]
        rows.append(Self.row(head))
        for line in self.operations {
            rows.append(
                Self.row(
                    [line.operation, Terminal.grouped(line.count)]
                        + [Terminal.grouped(Int(line.perSecond))]
                        + Self.cells(line.microseconds) + [Terminal.grouped(line.misses)]
                )
            )
        }
        for (kind, count) in self.errors.sorted(by: { $0.key < $1.key }) {
            rows.append("error \(kind): \(Terminal.grouped(count))")
        }
        if self.reconnects > 0 { rows.append("reconnects: \(self.reconnects)") }
        return rows.joined(separator: "\n")
    }

    private static func cells(_ latency: Latency) -> [String] {
        [latency.p50, latency.p90, latency.p99, latency.p999, latency.max].map {
            Terminal.decimal($0, digits: 0)
        }
    }

    private static func row(_ cells: [String]) -> String {
        cells.enumerated()
            .map { index, cell in Terminal.padded(cell, to: index == 0 ? 6 : 12) }
            .joined()
    }
}
