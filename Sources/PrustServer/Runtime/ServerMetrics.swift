import PrustCore
package import PrustTLS
package import PrustTelemetry

/// What the server counts; made once, kept by everyone who counts.
package final class ServerMetrics: Sendable {
    /// How a command ended, as a label.
    package enum CommandOutcome: String, CaseIterable, Sendable {
        case ok
        case error
        case denied
    }

    package let registry: MetricsRegistry
    private let commands: [Counter]
    private let latencies: [Histogram]
    package let unknownCommands: Counter
    package let connections: Gauge
    package let connectionsAccepted: Counter
    package let connectionsRejected: [ConnectionRejection: Counter]
    package let bytesReceived: Counter
    package let bytesSent: Counter
    package let protocolErrors: Counter
    package let outputPauses: Counter
    package let congestionPauses: Counter
    package let idleCloses: Counter
    package let logins: [LoginOutcome: Counter]
    package let logAppends: Counter
    package let logFailures: Counter
    package let logSyncs: Counter
    package let logSyncSeconds: Histogram
    package let logGroupRecords: Histogram
    package let logGroupBytes: Histogram
    package let sweeps: Counter
    package let sweptRecords: Counter
    package let sweepSeconds: Histogram
    package let sweepFailures: Counter
    package let corruptReads: Counter
    package let readFailures: Counter
    package let handshakes: [Bool: Counter]
    package let handshakeFailures: [TLSError.Code: Counter]
    package let handshakesOpen: Gauge

    package enum ConnectionRejection: String, CaseIterable, Sendable {
        case limit
        case perAddress = "per_address"
        case handshakes
        case protocolUnknown = "protocol"
    }

    package enum LoginOutcome: String, CaseIterable, Sendable {
        case accepted
        case refused
        case throttled
        case busy
        case unknownCertificate = "unknown_certificate"
    }

    package init(registry: MetricsRegistry) {
        self.registry = registry
        var commands: [Counter] = []
        var latencies: [Histogram] = []
        for command in Command.allCases {
            for outcome in CommandOutcome.allCases {
                commands.append(
                    registry.counter(
                        "prustdb_commands_total",
                        help: "Commands by name and outcome.",
                        labels: ["command": command.name, "outcome": outcome.rawValue]
                    )
                )
            }
            latencies.append(
                registry.histogram(
                    "prustdb_command_duration_seconds",
                    help: "From reading a command to handing over its reply, the disk included.",
                    scale: .seconds,
                    labels: ["command": command.name]
                )
            )
        }
        self.commands = commands
        self.latencies = latencies
        self.unknownCommands = registry.counter(
            "prustdb_commands_unknown_total",
            help: "Commands that this server does not know."
        )
        self.connections = registry.gauge(
            "prustdb_connections",
            help: "Open connections of clients."
        )
        self.connectionsAccepted = registry.counter(
            "prustdb_connections_accepted_total",
            help: "Connections accepted."
        )
        self.connectionsRejected = Self.counters(
            registry,
            "prustdb_connections_rejected_total",
            help: "Connections closed at once, by reason.",
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
        self.logins = Self.counters(
            registry,
            "prustdb_logins_total",
            help: "Log-ins by outcome.",
            label: "outcome"
        )
        self.logAppends = registry.counter(
            "prustdb_log_appends_total",
            help: "Records made durable."
        )
        self.logFailures = registry.counter(
            "prustdb_log_failures_total",
            help: "Times that the log could not be written."
        )
        self.logSyncs = registry.counter(
            "prustdb_log_syncs_total",
            help: "Groups of records made durable by one fdatasync."
        )
        self.logSyncSeconds = registry.histogram(
            "prustdb_log_sync_duration_seconds",
            help: "Duration of writing and syncing a group of records.",
            scale: .seconds
        )
        self.logGroupRecords = registry.histogram(
            "prustdb_log_group_records",
            help: "Records of a group.",
            scale: .count
        )
        self.logGroupBytes = registry.histogram(
            "prustdb_log_group_bytes",
            help: "Bytes of a group.",
            scale: .bytes
        )
        self.sweeps = registry.counter(
            "prustdb_index_sweeps_total",
            help: "Sweeps of records into the index."
        )
        self.sweptRecords = registry.counter(
            "prustdb_index_swept_records_total",
            help: "Records swept into the index."
        )
        self.sweepSeconds = registry.histogram(
            "prustdb_index_sweep_duration_seconds",
            help: "Duration of sweeps.",
            scale: .seconds
        )
        self.sweepFailures = registry.counter(
            "prustdb_index_sweep_failures_total",
            help: "Sweeps that failed; they are repeated."
        )
        self.corruptReads = registry.counter(
            "prustdb_storage_corrupt_reads_total",
            help: "Reads that met a corrupt record."
        )
        self.readFailures = registry.counter(
            "prustdb_storage_read_failures_total",
            help: "Reads from the disk that failed."
        )
        var handshakes: [Bool: Counter] = [:]
        for isResumed in [false, true] {
            handshakes[isResumed] = registry.counter(
                "prustdb_tls_handshakes_total",
                help: "Completed TLS handshakes.",
                labels: ["resumed": isResumed ? "yes" : "no"]
            )
        }
        self.handshakes = handshakes
        self.handshakeFailures = Self.counters(
            registry,
            "prustdb_tls_handshake_failures_total",
            help: "TLS handshakes that failed, by reason.",
            label: "reason"
        )
        self.handshakesOpen = registry.gauge(
            "prustdb_tls_handshakes_open",
            help: "TLS handshakes under way."
        )
    }

    private static func counters<Key: RawRepresentable<String> & CaseIterable & Hashable>(
        _ registry: MetricsRegistry,
        _ name: String,
        help: String,
        label: String
    ) -> [Key: Counter] {
        var counters: [Key: Counter] = [:]
        for key in Key.allCases {
            counters[key] = registry.counter(name, help: help, labels: [label: key.rawValue])
        }
        return counters
    }

    @inline(__always)
    package func count(_ command: Command, _ outcome: CommandOutcome, loop: Int) {
        let place =
            switch outcome {
            case .ok: 0
            case .error: 1
            case .denied: 2
            }
        self.commands[Int(command.rawValue) * 3 + place].add(1, shard: loop)
    }

    @inline(__always)
    package func record(_ command: Command, nanoseconds: Int64, loop: Int) {
        self.latencies[Int(command.rawValue)].record(
            nanoseconds: UInt64(clamping: nanoseconds),
            shard: loop
        )
    }
}

extension ServerMetrics: TLSObserver {
    package func handshakeStarted() {
        self.handshakesOpen.add(1)
    }

    package func handshakeCompleted(resumed: Bool) {
        self.handshakesOpen.add(-1)
        self.handshakes[resumed]?.add()
    }

    package func handshakeFailed(code: TLSError.Code) {
        self.handshakesOpen.add(-1)
        self.handshakeFailures[code]?.add()
    }
}
