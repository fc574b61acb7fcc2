import PrustCore
import PrustTLS
import Testing

@testable import PrustServer

@Suite struct NetworkJournalTests {
    private let log = LogCollector()

    private func makeJournal() -> NetworkJournal {
        let log = self.log
        return NetworkJournal(logger: log.logger) { log.now }
    }

    private static let unknownCA = TLSError(.unknownAuthority, "handshake failed: unknown CA")

    @Test func reachedLimitsAreNamed() {
        let journal = self.makeJournal()
        for number in 0..<100 { journal.rejected(.limit, from: "10.0.0.\(number)") }
        #expect(
            self.log.take() == [
                ["event": "PDB0203", "limit": "limits.connections", "peer": "10.0.0.0"]
            ]
        )
        for number in 0..<5 { journal.rejected(.handshakes, from: "10.0.0.\(number)") }
        for number in 0..<5 { journal.rejected(.perAddress, from: "2001:db8::\(number)") }
        journal.rejected(.perAddress, from: "10.0.0.1")
        #expect(
            self.log.take("limit") == [
                "limits.handshakes", "limits.connections-per-address",
                "limits.connections-per-address",
            ]
        )
        journal.summarize()
        #expect(self.log.take() == [])
        self.log.now = MonotonicInstant(seconds: 60)
        journal.summarize()
        let entries = self.log.take()
        #expect(entries.map { $0["event"] } == ["PDB0203", "PDB0203", "PDB0203"])
        #expect(entries.map { $0["repeated"] } == ["99", "4", "4"])
        #expect(entries.map { $0["peer"] } == ["various", "various", "20010db800000000/64"])
        journal.rejected(.limit, from: "10.0.0.1")
        #expect(self.log.take("limit") == ["limits.connections"])
    }

    /// The protocol is no limit, and the fixed bounds are not those of clients.
    @Test func otherReasonsAreOnlyCounted() {
        let journal = self.makeJournal()
        journal.rejected(.protocolUnknown, from: "10.0.0.1")
        journal.rejected(.probes, from: "10.0.0.1")
        journal.rejected(.adminSocket, from: "10.0.0.1")
        journal.summarize(all: true)
        #expect(self.log.take() == [])
    }

    @Test func failedHandshakesTellTheReason() {
        let journal = self.makeJournal()
        let burst = NetworkJournal.handshakeBurstCountMax
        for _ in 0..<burst + 4 { journal.handshakeFailed(Self.unknownCA, from: "10.0.0.1") }
        let entry = [
            "event": "PDB0204", "error-code": "unknown-ca", "peer": "10.0.0.1",
            "reason": "handshake failed: unknown CA",
        ]
        #expect(self.log.take() == (0..<burst).map { _ in entry })
        // Another reason and another client are not concerned.
        journal.handshakeFailed(TLSError(.notTLS, "not TLS"), from: "10.0.0.1")
        journal.handshakeFailed(Self.unknownCA, from: "10.0.0.2")
        #expect(self.log.take("reason") == ["not TLS", "handshake failed: unknown CA"])
        journal.summarize(all: true)
        #expect(
            self.log.take() == [
                [
                    "event": "PDB0204", "error-code": "unknown-ca", "peer": "10.0.0.1",
                    "repeated": "4",
                ]
            ]
        )
    }

    @Test func strangersFillNoLog() {
        let journal = self.makeJournal()
        for number in 0..<NetworkJournal.kindCountMax + 5 {
            journal.handshakeFailed(Self.unknownCA, from: "10.0.0.\(number)")
        }
        #expect(self.log.take().count == NetworkJournal.kindCountMax)
        journal.summarize(all: true)
        #expect(
            self.log.take() == [
                [
                    "event": "PDB0204", "error-code": "various", "peer": "various",
                    "repeated": "5",
                ]
            ]
        )
    }

    @Test func certificatesThatEnd() {
        let journal = self.makeJournal()
        let now = WallTime(milliseconds: 1_900_000_000_000)
        let end: Int64 = 1_900_000_000
        let soon = end + CertificateAlarm.warningSeconds - 1
        journal.check(.node, path: "/good.crt", notAfter: soon + 1, now: now)
        #expect(self.log.take() == [])
        for _ in 0..<3 {
            journal.check(.node, path: "/node.crt", notAfter: soon, now: now)
            journal.check(.authorities, path: "/ca.crt", notAfter: end, now: now)
        }
        #expect(
            self.log.take() == [
                [
                    "event": "PDB0201", "file": "/node.crt",
                    "not-after": "2030-04-16T17:46:39.000Z",
                ],
                ["event": "PDB0202", "file": "/ca.crt", "not-after": "2030-03-17T17:46:40.000Z"],
            ]
        )
    }
}
