import Synchronization

/// All metrics of one node, and the page that Prometheus reads.
///
/// Metrics are registered once, at start, and kept by those who count; the registry is not on their
/// way when they do. Names and labels come from our own code only, so a bad or repeated one is a bug
/// and stops the process at start, where a test sees it.
package final class MetricsRegistry: Sendable {
    /// The media type of ``exposition()``.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private enum Source: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
        case read(@Sendable () -> Double)
    }

    private struct Family: Sendable {
        let name: String
        let help: String
        let kind: MetricKind
        var series: [LabelSet: Source] = [:]
        var collect: (@Sendable () -> [MetricSample])?
    }

    private let families = Mutex<[String: Family]>([:])

    package init() {}

    package func counter(
        _ name: String,
        help: String,
        labels: [String: String] = [:]
    ) -> Counter {
        let counter = Counter()
        self.register(name, help: help, kind: .counter, labels: labels, source: .counter(counter))
        return counter
    }

    /// Registers a counter that something else keeps; it is read at every scrape.
    package func counter(
        _ name: String,
        help: String,
        labels: [String: String] = [:],
        read: @escaping @Sendable () -> Double
    ) {
        self.register(name, help: help, kind: .counter, labels: labels, source: .read(read))
    }

    package func gauge(
        _ name: String,
        help: String,
        labels: [String: String] = [:]
    ) -> Gauge {
        let gauge = Gauge()
        self.register(name, help: help, kind: .gauge, labels: labels, source: .gauge(gauge))
        return gauge
    }

    /// Registers a gauge that is read at every scrape, outside of any lock of the registry.
    package func gauge(
        _ name: String,
        help: String,
        labels: [String: String] = [:],
        read: @escaping @Sendable () -> Double
    ) {
        self.register(name, help: help, kind: .gauge, labels: labels, source: .read(read))
    }

    /// Registers gauges whose label values are known only at a scrape; the caller bounds them.
    ///
    /// Of samples with the same labels the first one counts.
    package func gauges(
        _ name: String,
        help: String,
        collect: @escaping @Sendable () -> [MetricSample]
    ) {
        Self.check(name, help: help, kind: .gauge)
        self.families.withLock { families in
            precondition(families[name] == nil, "metric \(name) is registered twice")
            families[name] = Family(name: name, help: help, kind: .gauge, collect: collect)
        }
    }

    package func histogram(
        _ name: String,
        help: String,
        scale: HistogramScale,
        labels: [String: String] = [:]
    ) -> Histogram {
        let histogram = Histogram(scale: scale)
        self.register(
            name,
            help: help,
            kind: .histogram(scale),
            labels: labels,
            source: .histogram(histogram)
        )
        return histogram
    }

    /// Registers a gauge that is always 1 and tells facts by its labels.
    package func registerBuildInfo(_ name: String, labels: [String: String]) {
        self.gauge(name, help: "Constant 1; its labels describe the build.", labels: labels) { 1 }
    }

    /// Names of all families, sorted.
    package var names: [String] {
        self.families.withLock { $0.keys.sorted() }
    }

    /// The page in Prometheus' text format 0.0.4, sorted by name and labels.
    package func exposition() -> String {
        let families = self.families.withLock { $0.values.sorted { $0.name < $1.name } }
        var page = Exposition()
        for family in families {
            Self.write(family, to: &page)
        }
        return page.text
    }

    private static func write(_ family: Family, to page: inout Exposition) {
        if let collect = family.collect {
            var values: [LabelSet: Double] = [:]
            for sample in collect() {
                let labels = LabelSet(sample.labels)
                values[labels] = values[labels] ?? sample.value
            }
            guard !values.isEmpty else { return }
            page.writeHead(name: family.name, help: family.help, kind: family.kind)
            for (labels, value) in values.sorted(by: { $0.key < $1.key }) {
                let number = Exposition.number(value)
                page.writeSample(family.name, labels: labels.text, value: number)
            }
            return
        }
        page.writeHead(name: family.name, help: family.help, kind: family.kind)
        for (labels, source) in family.series.sorted(by: { $0.key < $1.key }) {
            switch source {
            case .counter(let counter):
                page.writeSample(family.name, labels: labels.text, value: "\(counter.value)")
            case .gauge(let gauge):
                page.writeSample(family.name, labels: labels.text, value: "\(gauge.value)")
            case .read(let read):
                let number = Exposition.number(read())
                page.writeSample(family.name, labels: labels.text, value: number)
            case .histogram(let histogram):
                page.writeHistogram(
                    family.name,
                    labels: labels.text,
                    snapshot: histogram.snapshot()
                )
            }
        }
    }

    private func register(
        _ name: String,
        help: String,
        kind: MetricKind,
        labels: [String: String],
        source: Source
    ) {
        Self.check(name, help: help, kind: kind)
        let labels = LabelSet(labels)
        self.families.withLock { families in
            var family = families[name] ?? Family(name: name, help: help, kind: kind)
            precondition(
                family.kind == kind && family.help == help && family.collect == nil,
                "metric \(name) is registered with two types, scales or help texts"
            )
            precondition(
                family.series[labels] == nil,
                "metric \(name){\(labels.text)} is registered twice"
            )
            if let other = family.series.first {
                precondition(
                    other.key.names == labels.names,
                    "metric \(name) has label names \(other.key.names) and \(labels.names)"
                )
            }
            family.series[labels] = source
            families[name] = family
        }
    }

    private static func check(_ name: String, help: String, kind: MetricKind) {
        precondition(!help.isEmpty, "metric \(name) has no help text")
        if let problem = MetricName.problem(metric: name, kind: kind) {
            preconditionFailure("metric '\(name)' \(problem)")
        }
    }
}
