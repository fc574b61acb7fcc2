import Logging
import PrustCore
import Synchronization

/// Keeps the facts of what is logged, under a clock that a test sets.
final class LogCollector: Sendable {
    private let entries = Mutex<[[String: String]]>([])
    private let nanoseconds = Atomic<Int64>(0)

    var now: MonotonicInstant {
        get { MonotonicInstant(nanoseconds: self.nanoseconds.load(ordering: .relaxed)) }
        set { self.nanoseconds.store(newValue.nanoseconds, ordering: .relaxed) }
    }

    var logger: Logger {
        Logger(label: "test") { _ in Handler(collector: self) }
    }

    /// The facts of each entry since the last call.
    func take() -> [[String: String]] {
        self.entries.withLock { entries in
            defer { entries = [] }
            return entries
        }
    }

    /// One fact of each entry since the last call.
    func take(_ key: String) -> [String] {
        self.take().map { $0[key] ?? "?" }
    }

    private func append(_ metadata: Logger.Metadata) {
        let facts = metadata.mapValues { "\($0)" }
        self.entries.withLock { $0.append(facts) }
    }

    private struct Handler: LogHandler {
        let collector: LogCollector
        var logLevel = Logger.Level.trace
        var metadata: Logger.Metadata = [:]
        var metadataProvider: Logger.MetadataProvider?

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            self.collector.append(event.metadata ?? [:])
        }
    }
}
