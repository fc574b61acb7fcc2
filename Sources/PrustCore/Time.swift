/// A reading of the monotonic clock of this machine, in nanoseconds since an arbitrary start.
package struct MonotonicInstant: Hashable, Comparable, Sendable {
    package var nanoseconds: Int64

    @inlinable
    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    package init(seconds: Int64) {
        self.nanoseconds = seconds * 1_000_000_000
    }

    @inlinable
    package static func < (left: Self, right: Self) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Later by a duration; saturates at the end of the clock.
    package func advanced(by duration: Duration) -> Self {
        let (seconds, attoseconds) = duration.components
        let whole = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let part = whole.partialValue.addingReportingOverflow(attoseconds / 1_000_000_000)
        let sum = self.nanoseconds.addingReportingOverflow(part.partialValue)
        let overflow = whole.overflow || part.overflow || sum.overflow
        return Self(nanoseconds: overflow ? .max : sum.partialValue)
    }

    /// How long it is from here to `later`.
    package func duration(to later: Self) -> Duration {
        .nanoseconds(later.nanoseconds - self.nanoseconds)
    }
}

/// Wall-clock time in milliseconds since 1970-01-01 UTC, the unit of Redis' expiry commands.
package struct WallTime: Hashable, Comparable, Sendable {
    package var milliseconds: Int64

    @inlinable
    package init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    @inlinable
    package static func < (left: Self, right: Self) -> Bool {
        left.milliseconds < right.milliseconds
    }
}
