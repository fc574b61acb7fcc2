package import PrustTelemetry

/// What is counted of connections and of what goes over them.
package struct ConnectionMetrics: Sendable {
    package enum Rejection: String, CaseIterable, Sendable {
        case limit
        case perAddress = "per_address"
        case handshakes
        case probes
        case adminSocket = "admin_socket"
        case protocolUnknown = "protocol"

        /// The setting that bounds clients, if that is why.
        package var setting: String? {
            switch self {
            case .limit: "limits.connections"
            case .perAddress: "limits.connections-per-address"
            case .handshakes: "limits.handshakes"
            case .probes, .adminSocket, .protocolUnknown: nil
            }
        }
    }

    package enum Login: String, CaseIterable, Sendable {
        case accepted
        case refused
        case throttled
        case busy
        case unknownCertificate = "unknown_certificate"
    }

    package let open: Gauge
    package let accepted: Counter
    package let rejected: [Rejection: Counter]
    package let bytesReceived: Counter
    package let bytesSent: Counter
    package let protocolErrors: Counter
    package let outputPauses: Counter
    package let congestionPauses: Counter
    package let idleCloses: Counter
    package let loginCloses: Counter
    package let stallCloses: Counter
    package let outputCloses: Counter
    package let logins: [Login: Counter]

    init(_ registry: MetricsRegistry) {
        self.open = registry.gauge(
            "prustdb_connections",
            help: "Open connections of clients."
        )
        self.accepted = registry.counter(
            "prustdb_connections_accepted_total",
            help: "Connections accepted."
        )
        self.rejected = registry.counters(
            "prustdb_connections_rejected_total",
            help: "Connections closed by a limit, by reason.",
            label: "reason"
        )
        self.bytesReceived = registry.counter(
            "prustdb_received_bytes_total",
            help: "Bytes received from clients, decrypted."
        )
        self.bytesSent = registry.counter(
            "prustdb_sent_bytes_total",
            help: "Bytes sent to clients, before encryption."
        )
        self.protocolErrors = registry.counter(
            "prustdb_protocol_errors_total",
            help: "Connections closed for breaking the protocol."
        )
        self.outputPauses = registry.counter(
            "prustdb_output_pauses_total",
            help: "Times that a client was not read from because it did not read its replies."
        )
        self.congestionPauses = registry.counter(
            "prustdb_congestion_pauses_total",
            help: "Times that a client was not read from because the log was too far behind."
        )
        self.idleCloses = registry.counter(
            "prustdb_connections_idle_closed_total",
            help: "Connections closed because of limits.idle-timeout."
        )
        self.loginCloses = registry.counter(
            "prustdb_connections_login_closed_total",
            help: "Connections closed because of limits.login-timeout."
        )
        self.stallCloses = registry.counter(
            "prustdb_connections_stall_closed_total",
            help: "Connections closed because of limits.stall-timeout."
        )
        self.outputCloses = registry.counter(
            "prustdb_connections_output_closed_total",
            help: "Connections closed because of limits.output-total."
        )
        self.logins = registry.counters(
            "prustdb_logins_total",
            help: "Log-ins by outcome.",
            label: "outcome"
        )
    }
}
