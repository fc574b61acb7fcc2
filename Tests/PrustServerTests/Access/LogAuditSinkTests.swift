import PrustCore
import Testing

@testable import PrustServer

@Suite struct LogAuditSinkTests {
    private let log = LogCollector()

    private func makeSink() -> LogAuditSink {
        let log = self.log
        return LogAuditSink(logger: log.logger) { log.now }
    }

    private func whats() -> [String] { self.log.take("audit-what") }

    private static func denied(
        _ action: String,
        who: String = "eve",
        isKnown: Bool = true,
        method: AuthenticationMethod? = .password,
        from: String = "192.0.2.1",
        reason: String? = nil
    ) -> AuditEvent {
        AuditEvent(
            who: who,
            isKnown: isKnown,
            method: method,
            from: from,
            action: action,
            outcome: .denied,
            reason: reason
        )
    }

    @Test func whatIsRepeatedIsCounted() {
        let sink = self.makeSink()
        for _ in 0..<LogAuditSink.burstCountMax { sink.record(Self.denied("set")) }
        #expect(self.whats().count == LogAuditSink.burstCountMax)
        for _ in 0..<5 { sink.record(Self.denied("set")) }
        #expect(self.whats().isEmpty)
        // Another kind is not concerned.
        sink.record(Self.denied("get"))
        #expect(self.whats() == ["get"])

        let window = RepeatFilter<AuditEvent>.windowNanoseconds
        self.log.now = MonotonicInstant(nanoseconds: window - 1)
        sink.summarize()
        #expect(self.whats().isEmpty)
        self.log.now = MonotonicInstant(nanoseconds: window)
        sink.summarize()
        #expect(self.whats() == ["set (5 times more)"])
        // A new window begins.
        sink.record(Self.denied("set"))
        #expect(self.whats() == ["set"])
    }

    @Test func whatWasDoneIsAlwaysWritten() {
        let sink = self.makeSink()
        var event = Self.denied("user.create")
        event.outcome = .done
        for _ in 0..<100 { sink.record(event) }
        #expect(self.whats().count == 100)
        // What was only looked at is counted like what was denied.
        event.outcome = .shown
        for _ in 0..<100 { sink.record(event) }
        #expect(self.whats().count == LogAuditSink.burstCountMax)
    }

    static let codes: [(event: AuditEvent, code: String, outcome: String)] = [
        (denied("set"), "PDB0301", "denied"),
        (denied("user.create"), "PDB0301", "denied"),
        (denied("login", reason: "wrong name or password"), "PDB0302", "denied"),
        (denied("login", method: .certificate), "PDB0302", "denied"),
        (denied("login", reason: AuditEvent.throttled), "PDB0303", "denied"),
        (outcome(.failed, "login"), "PDB0302", "failed"),
        (outcome(.failed, "user.create"), "PDB0304", "failed"),
        (outcome(.shown, "client|list"), "PDB0304", "allowed"),
        (outcome(.done, "reload"), "PDB0304", "allowed"),
        (outcome(.done, "user.create"), "PDB0305", "allowed"),
        (outcome(.done, "role.delete"), "PDB0305", "allowed"),
        (outcome(.done, "client.revoke"), "PDB0305", "allowed"),
    ]

    private static func outcome(_ outcome: AuditEvent.Outcome, _ action: String) -> AuditEvent {
        var event = Self.denied(action)
        event.outcome = outcome
        return event
    }

    @Test(arguments: codes)
    func everyEventHasItsCode(event: AuditEvent, code: String, outcome: String) {
        self.makeSink().record(event)
        let entries = self.log.take()
        #expect(entries.map { $0["event"] } == ["\(code)"])
        #expect(entries.map { $0["audit-outcome"] } == ["\(outcome)"])
    }

    @Test func namesThatAreNoUsersAreCountedTogether() {
        let sink = self.makeSink()
        for number in 0..<2_000 {
            sink.record(Self.denied("login", who: "random\(number)", isKnown: false))
        }
        // The first are shown with the names that were tried.
        #expect(
            self.log.take("audit-who") == (0..<LogAuditSink.burstCountMax).map { "random\($0)" }
        )
        // Names of users are told apart.
        sink.record(Self.denied("login", who: "bob"))
        #expect(self.log.take("audit-who") == ["bob"])
        sink.summarize(all: true)
        let summary = self.log.take()
        #expect(summary.map { $0["audit-who"] } == ["unknown"])
        #expect(summary.map { $0["audit-what"] } == ["login (1990 times more)"])
    }

    @Test func oneNetworkHasItsShare() {
        let sink = self.makeSink()
        let share = LogAuditSink.kindPerNetworkCountMax
        for number in 0..<share + 7 {
            // Another port, another address of the same /64: the same network.
            let from = "[2001:db8::\(number + 1)]:\(number)"
            sink.record(Self.denied("set", who: "u\(number)", from: from))
        }
        #expect(self.whats().count == share)
        sink.record(Self.denied("set", from: "192.0.2.1:9"))
        #expect(self.log.take("audit-from") == ["192.0.2.1:9 (password)"])
        sink.summarize(all: true)
        let summary = self.log.take()
        #expect(summary.map { $0["audit-what"] } == ["various (7 times more)"])
        #expect(summary.map { $0["audit-from"] } == ["20010db800000000/64"])
    }

    /// Attempts from many networks to log in as many users fill one budget only.
    @Test func strangersCannotHideWhatOthersDo() {
        let sink = self.makeSink()
        for number in 0..<LogAuditSink.kindCountMax + 7 {
            let from = "192.0.\(number / 256).\(number % 256)"
            sink.record(Self.denied("login", who: "root", from: from))
        }
        #expect(self.whats().count == LogAuditSink.kindCountMax)
        sink.record(Self.denied("http-over-resp", who: "unknown", method: nil, from: "10.0.0.1"))
        #expect(self.whats().isEmpty)
        sink.record(Self.denied("set"))
        sink.record(Self.outcome(.failed, "user.create"))
        #expect(self.whats() == ["set", "user.create"])
        sink.summarize(all: true)
        let summary = self.log.take()
        #expect(summary.map { $0["event"] } == ["PDB0302"])
        #expect(summary.map { $0["audit-what"] } == ["login: various (8 times more)"])
    }

    @Test func textsOfPeersAreCut() {
        let sink = self.makeSink()
        let long = String(repeating: "x", count: 10_000)
        sink.record(Self.denied("login", who: long))
        // Names that are equal as far as they are written are one kind.
        for number in 0..<LogAuditSink.burstCountMax {
            sink.record(Self.denied("login", who: long + "\(number)"))
        }
        #expect(self.whats().count == LogAuditSink.burstCountMax)
        sink.summarize(all: true)
        #expect(self.whats() == ["login (1 times more)"])
    }

    @Test(arguments: [
        ("10.0.0.1", "10.0.0.1"), ("10.0.0.1:5", "10.0.0.1"), ("unix pid=1 gid=2", "unix"),
        ("[2001:db8:1:2::9]:5", "20010db800010002/64"), ("unknown", "unknown"), ("", ""),
        ("2001:db8:1:2::9", "20010db800010002/64"), ("unknown:0", "unknown"), ("[", ""),
    ])
    func network(origin: String, name: String) {
        #expect(NetworkName.of(origin: origin) == name)
    }
}
