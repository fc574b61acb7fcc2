import CNumber
import Glibc
import Logging
import PrustCore
import PrustSystemd

/// The program `prustdb`: from its arguments to its exit status.
package enum Daemon {
    package static let version = BuildInfo.version

    package struct Arguments: Sendable {
        package var config: String?
        package var dataDirectory: String?
        package var port: String?
        package var metricsListen: String?
        package var clientDirectory: String?
        package var assignments: [String]

        package init(
            config: String?,
            dataDirectory: String?,
            port: String?,
            metricsListen: String?,
            clientDirectory: String?,
            assignments: [String]
        ) {
            self.config = config
            self.dataDirectory = dataDirectory
            self.port = port
            self.metricsListen = metricsListen
            self.clientDirectory = clientDirectory
            self.assignments = assignments
        }
    }

    /// Runs a node until it is told to stop; returns the exit status.
    package static func run(_ arguments: Arguments) async -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        prust_tune_allocator()
        let flags = SettingFlags(
            dataDirectory: arguments.dataDirectory,
            port: arguments.port,
            metricsListen: arguments.metricsListen,
            assignments: arguments.assignments
        )
        let loaded: Settings.Loaded
        do throws(SettingsError) {
            loaded = try Settings.loadWithOrigins(
                file: arguments.config,
                environment: ProcessVariables.all(),
                flags: flags
            )
        } catch {
            Self.complain("\(error)")
            return 2
        }
        let level = LogLevelControl(
            Logger.Level(rawValue: loaded.settings.logLevel.rawValue) ?? .info
        )
        let logger = LogDestination.detect().logger(label: "prustdb", level: level)
        do {
            let sockets = try ListenSocket.inherited(
                expected: ["client": [.tcp], "metrics": [.tcp]]
            )
            try Self.found(arguments, loaded.settings, logger)
            let node = try Node(
                loaded: loaded,
                reloadArguments: Node.ReloadArguments(file: arguments.config, flags: flags),
                logger: logger,
                logLevel: level,
                sockets: sockets
            )
            try await node.run()
            return 0
        } catch {
            logger.event(.startFailed, metadata: ["reason": "\(error)"])
            return 1
        }
    }

    /// Founds a cluster in an empty directory, unless a settings file says that this is no
    /// playground.
    private static func found(
        _ arguments: Arguments,
        _ settings: Settings,
        _ logger: Logger
    ) throws {
        guard !Founding.isFounded(settings.dataDirectory) else { return }
        guard arguments.config == nil else {
            throw Node.StartError(
                "\(settings.dataDirectory) holds no node: run `prustadm bootstrap` first"
            )
        }
        let clients = arguments.clientDirectory ?? settings.dataDirectory + "/client"
        let report = try Founding.foundImplicitly(
            FoundingPlan(
                dataDirectory: settings.dataDirectory,
                clientDirectory: clients,
                listen: settings.listen,
                advertise: settings.advertised,
                partitionBits: settings.cluster.partitionBits,
                replicationFactor: settings.cluster.replicationFactor,
                clientName: "admin"
            ),
            environment: ProcessVariables.all(),
            now: Clocks.wall()
        )
        logger.event(
            .clusterFounded,
            metadata: [
                "cluster-id": "\(report.clusterID)", "node-id": "\(report.nodeID)",
                "credentials": "\(clients)",
                "connect":
                    "redis-cli --tls --cacert \(clients)/ca.crt --cert \(clients)/client.crt --key \(clients)/client.key -p \(settings.listen.port)",
            ]
        )
    }

    /// Says what is wrong with the settings: to the journal if that listens, else to the terminal.
    private static func complain(_ text: String) {
        let destination = LogDestination.detect()
        if destination == .journal {
            let logger = destination.logger(label: "prustdb", level: LogLevelControl(.info))
            logger.event(.settingsInvalid, metadata: ["reason": "\(text)"])
            return
        }
        for line in text.split(separator: "\n") {
            let bytes = Array("prustdb: \(line)\n".utf8)
            _ = write(STDERR_FILENO, bytes, bytes.count)
        }
    }
}
