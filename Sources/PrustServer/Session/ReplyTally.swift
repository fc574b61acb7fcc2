import PrustCore

/// Counts the replies to a run of equal commands, so that the counters that all loops share are
/// touched once for a pipeline, not once for each of its commands.
struct ReplyTally {
    private var command = Command.ping
    private var okCount: UInt64 = 0
    private var errorCount: UInt64 = 0
    /// Replies that wait for nothing.
    private var readyCount: UInt64 = 0

    /// True if the replies counted so far are to another command, and must be recorded first.
    @inline(__always)
    func isOfOther(than command: Command) -> Bool {
        self.command != command && self.okCount + self.errorCount > 0
    }

    @inline(__always)
    mutating func add(_ command: Command, isError: Bool) {
        self.command = command
        if isError { self.errorCount += 1 } else { self.okCount += 1 }
    }

    @inline(__always)
    mutating func addReady() { self.readyCount += 1 }

    /// Gives what was counted to `metrics` and starts anew.
    mutating func record(in metrics: ServerMetrics, since start: MonotonicInstant, loop: Int) {
        if self.okCount > 0 { metrics.count(self.command, .ok, self.okCount, loop: loop) }
        if self.errorCount > 0 { metrics.count(self.command, .error, self.errorCount, loop: loop) }
        if self.readyCount > 0 {
            metrics.record(
                self.command,
                nanoseconds: Clocks.monotonic().nanoseconds - start.nanoseconds,
                count: self.readyCount,
                loop: loop
            )
        }
        (self.okCount, self.errorCount, self.readyCount) = (0, 0, 0)
    }
}
