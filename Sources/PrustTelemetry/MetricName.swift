/// What Prometheus asks of the names of metrics and labels.
///
/// The rules are those of `promtool check metrics` and of Prometheus' naming guide: lower case with
/// underscores, base units written out, counters end in `_total`.
package enum MetricName {
    private static let reservedEnds = ["_bucket", "_sum", "_count"]
    private static let kindWords: Set<Substring> = ["counter", "gauge", "histogram", "summary"]
    private static let badUnits: Set<Substring> = [
        "s", "ms", "us", "ns", "sec", "msec", "usec", "nsec", "b", "kb", "mb", "gb", "tb", "pb",
        "kib", "mib", "gib", "m", "h", "d", "milliseconds", "microseconds", "nanoseconds",
        "minutes", "hours", "days", "weeks", "kilobytes", "megabytes", "gigabytes", "kibibytes",
        "mebibytes", "gibibytes", "bits", "percent", "percents", "percentage",
    ]

    /// Says what is wrong with the name of a metric, or `nil`.
    package static func problem(metric name: String, kind: MetricKind) -> String? {
        guard Self.isIdentifier(name) else { return "is not of the form [a-z_][a-z0-9_]*" }
        if let end = Self.reservedEnds.first(where: { name.hasSuffix($0) }) {
            return "ends in \(end), which belongs to histograms"
        }
        for word in name.split(separator: "_") {
            if Self.badUnits.contains(word) { return "has the unit \(word), not a base unit" }
            if Self.kindWords.contains(word) { return "names its own type" }
        }
        if (kind == .counter) != name.hasSuffix("_total") {
            return kind == .counter ? "does not end in _total" : "ends in _total but is no counter"
        }
        switch kind {
        case .histogram(.seconds) where !name.hasSuffix("_seconds"):
            return "does not end in _seconds"
        case .histogram(.bytes) where !name.hasSuffix("_bytes"): return "does not end in _bytes"
        case .histogram, .counter, .gauge: return nil
        }
    }

    /// Says what is wrong with the name of a label, or `nil`.
    package static func problem(label name: String) -> String? {
        guard Self.isIdentifier(name) else { return "is not of the form [a-z_][a-z0-9_]*" }
        if name.hasPrefix("__") { return "starts with __, which Prometheus keeps for itself" }
        if name == "le" || name == "quantile" { return "belongs to histograms" }
        return nil
    }

    private static func isIdentifier(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy { byte in
            (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x5F
        }
    }
}
