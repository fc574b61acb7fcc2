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
