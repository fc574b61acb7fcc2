import CNumber
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

    /// Stops this thread for less than a millisecond; ``sharpenPauses()`` makes it exact.
    static func pause(nanoseconds: Int64) {
        var time = timespec(tv_sec: 0, tv_nsec: Int(min(nanoseconds, 999_999)))
        nanosleep(&time, nil)
    }

    /// Lets pauses of the calling thread end on time: Linux adds 50 microseconds otherwise.
    static func sharpenPauses() {
        prust_set_timer_slack(1_000)
    }
}
