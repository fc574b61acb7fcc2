package import PrustTLS
package import PrustTelemetry

/// What is counted of TLS handshakes.
package struct HandshakeMetrics: Sendable {
    package let completed: [Bool: Counter]
    package let failures: [TLSError.Code: Counter]
    package let open: Gauge

    init(_ registry: MetricsRegistry) {
        var completed: [Bool: Counter] = [:]
        for isResumed in [false, true] {
            completed[isResumed] = registry.counter(
                "prustdb_tls_handshakes_total",
                help: "Completed TLS handshakes.",
                labels: ["resumed": isResumed ? "yes" : "no"]
            )
        }
        self.completed = completed
        self.failures = registry.counters(
            "prustdb_tls_handshake_failures_total",
            help: "TLS handshakes that failed, by reason.",
            label: "reason"
        )
        self.open = registry.gauge(
            "prustdb_tls_handshakes_open",
            help: "TLS handshakes under way."
        )
    }
}
