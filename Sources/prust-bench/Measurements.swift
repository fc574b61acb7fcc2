import Histogram

/// What one event loop measured; several are added up at the end.
struct Measurements: Sendable {
    /// One operation's latencies in nanoseconds.
    struct Series: Sendable {
        private(set) var latencies = Histogram<UInt64>(
            highestTrackableValue: Self.latencyMax,
            numberOfSignificantValueDigits: .three
        )
        /// Replies that were null or 0, for example reads of keys that do not exist.
        var missCount = 0

        /// An hour; a longer latency counts as one.
        private static let latencyMax: UInt64 = 3_600_000_000_000

        mutating func record(nanoseconds: Int64) {
            self.latencies.record(min(UInt64(max(nanoseconds, 1)), Self.latencyMax))
        }

        mutating func add(_ other: Self) {
            self.latencies.add(other.latencies)
            self.missCount += other.missCount
        }
    }

    private static let errorKindCountMax = 100

    private(set) var series: [Series] = Operation.allCases.map { _ in Series() }
    private(set) var errors: [String: Int] = [:]
    var reconnectCount = 0
    /// Why the node was given up, if it was.
    var outage: String?

    mutating func record(_ operation: Int, nanoseconds: Int64, isMiss: Bool) {
        self.series[operation].record(nanoseconds: nanoseconds)
        if isMiss { self.series[operation].missCount += 1 }
    }

    mutating func recordError(_ kind: String, count: Int = 1) {
        guard count > 0 else { return }
        let known = self.errors[kind] != nil || self.errors.count < Self.errorKindCountMax
        self.errors[known ? kind : "other", default: 0] += count
    }

    mutating func add(_ other: Self) {
        for index in self.series.indices { self.series[index].add(other.series[index]) }
        for (kind, count) in other.errors { self.recordError(kind, count: count) }
        self.reconnectCount += other.reconnectCount
        self.outage = self.outage ?? other.outage
    }
}
