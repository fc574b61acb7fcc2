import CSystemd
package import PrustCore

/// Tells the service manager what the daemon is doing, by `sd_notify`.
///
/// Without `$NOTIFY_SOCKET` (on a terminal, in a test) everything here does nothing.
package struct Notifier: Sendable {
    /// One assignment of the protocol of `sd_notify(3)`.
    package enum Notice: Equatable, Sendable {
        case ready
        /// One line for `systemctl status`.
        case status(String)
        /// Asks for more time to start, reload or stop, counted from now.
        case extendTimeout(Duration)
        /// A reload began at this instant of the monotonic clock; ``ready`` ends it.
        case reloading(at: MonotonicInstant)
        case stopping
        case watchdog
    }

    /// Bytes of a status line; longer ones are cut.
    package static let statusByteCountMax = 512

    package init() {}

    /// Whether a service manager listens.
    package var isEnabled: Bool {
        ProcessEnvironment.value("NOTIFY_SOCKET") != nil
    }

    /// Sends notices together, as one message.
    ///
    /// - Parameter notices: What to say, in this order.
    /// - Returns: Whether the message was handed over. A failure has no remedy here: the manager
    ///   then acts on its own timeouts.
    @discardableResult
    package func notify(_ notices: Notice...) -> Bool {
        sd_notify(0, Self.encode(notices)) > 0
    }

    /// The text of a message, one assignment a line.
    package static func encode(_ notices: [Notice]) -> String {
        notices.map { notice in
            switch notice {
            case .ready: "READY=1"
            case .status(let text): "STATUS=\(Self.line(text))"
            case .extendTimeout(let time): "EXTEND_TIMEOUT_USEC=\(Self.microseconds(time))"
            case .reloading(let instant):
                "RELOADING=1\nMONOTONIC_USEC=\(max(instant.nanoseconds, 0) / 1000)"
            case .stopping: "STOPPING=1"
            case .watchdog: "WATCHDOG=1"
            }
        }.joined(separator: "\n")
    }

    /// A line break in a status would be read as another assignment, so it becomes a space; not an
    /// escape, because systemd takes backslashes away.
    private static func line(_ text: String) -> String {
        let line = LogText.blank(text, instead: " ")
        return LogText.cut(line, byteCountMax: Self.statusByteCountMax)
    }

    private static func microseconds(_ time: Duration) -> Int64 {
        let (seconds, attoseconds) = time.components
        guard seconds >= 0 else { return 0 }
        let whole = seconds.multipliedReportingOverflow(by: 1_000_000)
        let sum = whole.partialValue.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        return whole.overflow || sum.overflow ? .max : max(sum.partialValue, 0)
    }
}
