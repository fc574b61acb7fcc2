/// Prometheus' text format 0.0.4, written line by line.
struct Exposition {
    private(set) var text = ""

    mutating func writeHead(name: String, help: String, kind: MetricKind) {
        self.text += "# HELP \(name) \(Self.escape(help: help))\n"
        self.text += "# TYPE \(name) \(kind.word)\n"
    }

    mutating func writeSample(_ name: String, labels: String, value: String) {
        self.text += name
        if !labels.isEmpty {
            self.text += "{"
            self.text += labels
            self.text += "}"
        }
        self.text += " "
        self.text += value
        self.text += "\n"
    }

    mutating func writeHistogram(_ name: String, labels: String, snapshot: HistogramSnapshot) {
        let prefix = labels.isEmpty ? "" : labels + ","
        var running: UInt64 = 0
        for bucket in 0..<snapshot.scale.bucketCount {
            running &+= snapshot.counts[bucket]
            let bound = Self.bound(of: bucket, scale: snapshot.scale)
            self.writeSample(
                name + "_bucket",
                labels: "\(prefix)le=\"\(bound)\"",
                value: "\(running)"
            )
        }
        let total = "\(snapshot.total)"
        self.writeSample(name + "_bucket", labels: "\(prefix)le=\"+Inf\"", value: total)
        let sum = Self.number(Double(snapshot.sum) / snapshot.scale.divisor)
        self.writeSample(name + "_sum", labels: labels, value: sum)
        self.writeSample(name + "_count", labels: labels, value: total)
    }

    /// A bound as decimal digits, so that `le` is the same text in every release.
    static func bound(of bucket: Int, scale: HistogramScale) -> String {
        let bound = scale.bound(of: bucket)
        guard scale == .seconds else { return "\(bound)" }
        let (seconds, micros) = (bound / 1_000_000_000, bound % 1_000_000_000 / 1000)
        guard micros > 0 else { return "\(seconds)" }
        var digits = "\(1_000_000 + micros)".dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return "\(seconds).\(digits)"
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value.rounded(.towardZero) == value, abs(value) < 9_007_199_254_740_992 {
            return "\(Int64(value))"
        }
        return "\(value)"
    }

    static func escape(labelValue: String) -> String {
        Self.escape(labelValue, quote: true)
    }

    static func escape(help: String) -> String {
        Self.escape(help, quote: false)
    }

    private static func escape(_ text: String, quote: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quote: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
