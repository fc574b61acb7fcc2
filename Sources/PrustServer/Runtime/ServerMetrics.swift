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
    package let unauthenticatedCommands: Counter
    package let connection: ConnectionMetrics
    package let log: LogMetrics
    package let index: IndexMetrics
    package let handshake: HandshakeMetrics

    package init(registry: MetricsRegistry) {
        self.registry = registry
        self.commands = Command.allCases.flatMap { command in
            CommandOutcome.allCases.map { outcome in
                registry.counter(
                    "prustdb_commands_total",
                    help: "Commands by name and outcome.",
                    labels: ["command": command.name, "outcome": outcome.rawValue]
                )
            }
        }
        self.latencies = Command.allCases.map { command in
            registry.histogram(
                "prustdb_command_duration_seconds",
                help: "From reading a command to handing over its reply, the disk included.",
                scale: .seconds,
                labels: ["command": command.name]
            )
        }
        self.unknownCommands = registry.counter(
            "prustdb_commands_unknown_total",
            help: "Commands that this server does not know."
        )
        self.unauthenticatedCommands = registry.counter(
            "prustdb_commands_unauthenticated_total",
            help: "Commands refused because nobody had logged in."
        )
        self.connection = ConnectionMetrics(registry)
        self.log = LogMetrics(registry)
        self.index = IndexMetrics(registry)
        self.handshake = HandshakeMetrics(registry)
    }

    @inline(__always)
    package func count(
        _ command: Command,
        _ outcome: CommandOutcome,
        _ amount: UInt64 = 1,
        loop: Int
    ) {
        let place =
            switch outcome {
            case .ok: 0
            case .error: 1
            case .denied: 2
            }
        self.commands[Int(command.rawValue) * 3 + place].add(amount, shard: loop)
    }

    @inline(__always)
    package func record(
        _ command: Command,
        nanoseconds: Int64,
        count: UInt64 = 1,
        loop: Int
    ) {
        self.latencies[Int(command.rawValue)].record(
            nanoseconds: UInt64(clamping: nanoseconds),
            count: count,
            shard: loop
        )
    }
}

extension MetricsRegistry {
    /// A counter for each value of a label.
    func counters<Key: RawRepresentable<String> & CaseIterable & Hashable>(
        _ name: String,
        help: String,
        label: String
    ) -> [Key: Counter] {
        var counters: [Key: Counter] = [:]
        for key in Key.allCases {
            counters[key] = self.counter(name, help: help, labels: [label: key.rawValue])
        }
        return counters
    }
}

extension ServerMetrics: TLSObserver {
    package func handshakeStarted() {
        self.handshake.open.add(1)
    }

    package func handshakeCompleted(resumed: Bool) {
        self.handshake.open.add(-1)
        self.handshake.completed[resumed]?.add()
    }

    package func handshakeFailed(code: TLSError.Code) {
        self.handshake.open.add(-1)
        self.handshake.failures[code]?.add()
    }
}
