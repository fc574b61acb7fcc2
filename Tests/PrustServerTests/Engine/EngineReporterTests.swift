import PrustSystemd
import PrustTelemetry
import Testing

@testable import PrustServer

@Suite struct EngineReporterTests {
    /// Why the storage stays closed is in the journal, and nothing is there twice.
    @Test func eachReasonIsLoggedOnce() {
        let log = LogCollector()
        let reporter = EngineReporter(
            metrics: ServerMetrics(registry: MetricsRegistry()),
            logger: log.logger,
            notifier: Notifier()
        )
        reporter.stateChanged(.serving, reason: "")
        #expect(log.take() == [])
        reporter.logFailed(reason: "a write failed", outcome: .unknown)
        reporter.stateChanged(.recovering, reason: "a write failed")
        #expect(log.take("event") == ["PDB0106"])
        reporter.stateChanged(.recovering, reason: "an opening failed")
        reporter.stateChanged(.recovering, reason: "an opening failed")
        #expect(log.take("event") == ["PDB0106"])
        reporter.stateChanged(.serving, reason: "")
        #expect(log.take("event") == ["PDB0107"])
        reporter.indexFailed(reason: "a page is damaged")
        reporter.stateChanged(.recovering, reason: "a page is damaged")
        #expect(log.take("reason") == ["a page is damaged"])
        reporter.stateChanged(.serving, reason: "")
        #expect(log.take("event") == ["PDB0107"])
    }
}
