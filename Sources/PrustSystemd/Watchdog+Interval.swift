import CSystemd

extension Watchdog {
    /// `WatchdogSec=` of the unit that started this process, or `nil` when it has none.
    package static func requestedInterval() -> Duration? {
        var microseconds: UInt64 = 0
        guard sd_watchdog_enabled(0, &microseconds) > 0, microseconds > 0 else { return nil }
        return .microseconds(Int64(clamping: microseconds))
    }
}
