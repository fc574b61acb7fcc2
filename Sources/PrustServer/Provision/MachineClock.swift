import Glibc
package import PrustCore

/// Wall time for programs that run once; the daemon and all tests pass it in.
package enum MachineClock {
    package static func now() -> WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(milliseconds: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
    }
}

extension MachineClock {
    /// Seconds since 1970.
    package static func nowSeconds() -> Int64 { self.now().milliseconds / 1_000 }
}
