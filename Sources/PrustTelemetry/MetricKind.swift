/// The types of Prometheus' text format that PrustDB uses.
package enum MetricKind: Hashable, Sendable {
    case counter
    case gauge
    case histogram(HistogramScale)

    /// The word of the `# TYPE` line.
    package var word: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }
}

/// One value with its labels, for metrics whose labels are known only when they are read.
package struct MetricSample: Sendable {
    package let labels: [String: String]
    package let value: Double

    package init(labels: [String: String], value: Double) {
        self.labels = labels
        self.value = value
    }
}
