import Logging
import PrustCore
import Synchronization
import Testing

@testable import PrustServer

@Suite struct LogAuditSinkTests {
    private final class World: Sendable {
        let lines = Mutex<[String]>([])
        let nanoseconds = Atomic<Int64>(0)

        var taken: [String] {
            self.lines.withLock { lines in
                defer { lines.removeAll() }
                return lines
            }
        }
    }

    private struct Collector: LogHandler {
        let world: World
        var logLevel = Logger.Level.trace
        var metadata: Logger.Metadata = [:]
        var metadataProvider: Logger.MetadataProvider?

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let what = event.metadata?["audit-what"] ?? "?"
            self.world.lines.withLock { $0.append("\(what)") }
        }
    }

    private let world = World()

    private func makeSink() -> LogAuditSink {
        let world = self.world
        let logger = Logger(label: "test") { _ in Collector(world: world) }
        return LogAuditSink(logger: logger) {
            MonotonicInstant(nanoseconds: world.nanoseconds.load(ordering: .relaxed))
        }
    }

    private static func denied(_ action: String, who: String = "eve") -> AuditEvent {
        AuditEvent(who: who, method: nil, from: "192.0.2.1", action: action, outcome: .denied)
    }

    @Test func whatIsRepeatedIsCounted() {
        let sink = self.makeSink()
        for _ in 0..<LogAuditSink.burstCountMax { sink.record(Self.denied("set")) }
        #expect(self.world.taken.count == LogAuditSink.burstCountMax)
        for _ in 0..<5 { sink.record(Self.denied("set")) }
        #expect(self.world.taken.isEmpty)
        // Another kind is not concerned.
        sink.record(Self.denied("get"))
        #expect(self.world.taken == ["get"])

        self.world.nanoseconds.store(LogAuditSink.windowNanoseconds - 1, ordering: .relaxed)
        sink.summarize()
        #expect(self.world.taken.isEmpty)
        self.world.nanoseconds.store(LogAuditSink.windowNanoseconds, ordering: .relaxed)
        sink.summarize()
        #expect(self.world.taken == ["set (5 times more)"])
        // A new window begins.
        sink.record(Self.denied("set"))
        #expect(self.world.taken == ["set"])
    }

    @Test func whatWasDoneIsAlwaysWritten() {
        let sink = self.makeSink()
        var event = Self.denied("user.create")
        event.outcome = .done
        for _ in 0..<100 { sink.record(event) }
        #expect(self.world.taken.count == 100)
    }

    @Test func kindsAreBounded() {
        let sink = self.makeSink()
        for number in 0..<LogAuditSink.kindCountMax {
            sink.record(Self.denied("set", who: "u\(number)"))
        }
        #expect(self.world.taken.count == LogAuditSink.kindCountMax)
        for number in 0..<7 { sink.record(Self.denied("set", who: "v\(number)")) }
        #expect(self.world.taken.isEmpty)
        sink.summarize(all: true)
        #expect(self.world.taken == ["various (7 times more)"])
    }

    @Test func textsOfPeersAreCut() {
        let sink = self.makeSink()
        let long = String(repeating: "x", count: 10_000)
        sink.record(Self.denied("login", who: long))
        // Names that are equal as far as they are written are one kind.
        for number in 0..<LogAuditSink.burstCountMax {
            sink.record(Self.denied("login", who: long + "\(number)"))
        }
        #expect(self.world.taken.count == LogAuditSink.burstCountMax)
        sink.summarize(all: true)
        #expect(self.world.taken == ["login (1 times more)"])
    }
}
