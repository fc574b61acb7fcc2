package import NIOCore

extension Duration {
    /// Nanoseconds, at the ends of the range where they do not fit.
    package var nanoseconds: Int64 {
        let (seconds, attoseconds) = self.components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        guard !overflow, !carry else { return seconds < 0 ? .min : .max }
        return sum
    }

    package var timeAmount: TimeAmount { .nanoseconds(self.nanoseconds) }

    /// Whole milliseconds, rounded up; `nil` where they do not fit.
    package var millisecondsRoundedUp: Int64? {
        let (seconds, attoseconds) = self.components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000)
        let part = attoseconds / 1_000_000_000_000_000
        let isRounded = attoseconds > part * 1_000_000_000_000_000
        let (sum, carry) = product.addingReportingOverflow(part + (isRounded ? 1 : 0))
        return overflow || carry ? nil : sum
    }
}
