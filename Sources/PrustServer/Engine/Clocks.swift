import Glibc
package import PrustCore

/// Reads the clocks of this machine; the only place that does.
package enum Clocks {
    package static func wall() -> WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(milliseconds: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
    }

    package static func monotonic() -> MonotonicInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicInstant(
            nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        )
    }

    /// Stops this thread for a while: never on an event loop.
    package static func sleep(milliseconds: Int) {
        usleep(UInt32(clamping: milliseconds) * 1_000)
    }
}
