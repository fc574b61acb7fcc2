/// The buckets of a histogram at one moment.
package struct HistogramSnapshot: Equatable, Sendable {
    package let scale: HistogramScale
    /// Values of each bucket (not cumulative); the last one has no bound.
    package let counts: [UInt64]
    /// Sum of the values in the unit that is recorded: nanoseconds, bytes or things.
    package let sum: UInt64

    package var total: UInt64 {
        self.counts.reduce(0, &+)
    }

    /// An estimate as Prometheus' `histogram_quantile` makes it, in the unit that is exposed.
    ///
    /// It is linear within the bucket; a value above the last bound counts as the last bound. `nil`
    /// when nothing was recorded.
    package func quantile(_ fraction: Double) -> Double? {
        let total = Double(self.total)
        guard total > 0, fraction >= 0, fraction <= 1 else { return nil }
        let rank = fraction * total
        var seen = 0.0
        for bucket in 0..<self.scale.bucketCount {
            let count = Double(self.counts[bucket])
            if count > 0, seen + count >= rank {
                let low = bucket == 0 ? 0 : Double(self.scale.bound(of: bucket - 1))
                let high = Double(self.scale.bound(of: bucket))
                let share = (rank - seen) / count
                return (low + (high - low) * share) / self.scale.divisor
            }
            seen += count
        }
        return Double(self.scale.bound(of: self.scale.bucketCount - 1)) / self.scale.divisor
    }
}
