import Glibc
package import Logging
package import PrustCore

/// Writes each log message as one line for a human reader, on standard error.
package struct ConsoleLogHandler: LogHandler {
    /// Bytes of a line without its colour and line break.
    package static let lineByteCountMax = 16 * 1024

    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let colour: Bool
    private let level: LogLevelControl
    private var ownLevel: Logger.Level?
    private let now: @Sendable () -> WallTime
    private let write: @Sendable (String) -> Void

    /// Makes a handler; `now` and `write` stand for clock and standard error in tests.
    package init(
        label: String,
        colour: Bool,
        level: LogLevelControl,
        now: @escaping @Sendable () -> WallTime = Self.wallTime,
        write: @escaping @Sendable (String) -> Void = Self.writeToStandardError
    ) {
        self.colour = colour
        self.level = level
        self.now = now
        self.write = write
    }

    /// The level of all loggers, unless it was set for this one.
    package var logLevel: Logger.Level {
        get { self.ownLevel ?? self.level.level }
        set { self.ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    package func log(event: Logging.LogEvent) {
        let facts = LogText.facts(self.merged(with: event.metadata))
        let time = Timestamp.text(of: self.now())
        let message = LogText.escape("\(event.message)") + facts
        let word = Self.word(of: event.level)
        let rest = LogText.cut(message, byteCountMax: Self.lineByteCountMax - 40)
        guard self.colour, let code = Self.colourCode(of: event.level) else {
            self.write("\(time) \(word) \(rest)\n")
            return
        }
        self.write("\(time) \u{1B}[\(code)m\(word)\u{1B}[0m \(rest)\n")
    }

    /// One write a line, so that lines of several threads do not mix.
    package static let writeToStandardError: @Sendable (String) -> Void = { line in
        var line = line
        line.withUTF8 { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let slice = UnsafeBufferPointer(rebasing: rest)
                let count = Glibc.write(STDERR_FILENO, slice.baseAddress, slice.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }

    package static let wallTime: @Sendable () -> WallTime = {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    private static func word(of level: Logger.Level) -> String {
        switch level {
        case .trace: "TRACE "
        case .debug: "DEBUG "
        case .info: "INFO  "
        case .notice: "NOTICE"
        case .warning: "WARN  "
        case .error: "ERROR "
        case .critical: "CRIT  "
        }
    }

    private static func colourCode(of level: Logger.Level) -> String? {
        switch level {
        case .trace, .debug: "2"
        case .info: nil
        case .notice: "1"
        case .warning: "33"
        case .error: "31"
        case .critical: "1;31"
        }
    }
}
