import ArgumentParser
import Glibc
import PrustServer

/// The daemon's command line.
@main
struct PrustdbCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prustdb",
        abstract: "A peer-to-peer key-value database.",
        discussion: """
            Started by hand on an empty data directory and without a settings file, prustdb \
            founds a cluster of one node and says how to connect. Settings come from the file, \
            then from PRUSTDB_ variables, then from flags. Exit codes: 0 done, 1 failed, 2 wrong \
            usage or settings.
            """,
        version: "prustdb \(Daemon.version)"
    )

    @Option(help: "Settings file (YAML). Nothing is founded implicitly then.")
    var config: String?

    @Option(help: "Data directory: identity, segments and index.")
    var dataDir: String?

    @Option(help: "Port to listen on.")
    var port: String?

    @Option(help: "HOST:PORT of /metrics, /healthz and /readyz.")
    var metricsListen: String?

    @Option(help: "Where a founded cluster's first client gets its credentials.")
    var clientDir: String?

    @Option(name: .customLong("set"), help: "NAME=VALUE, any setting; may be repeated.")
    var assignments: [String] = []

    /// The parser's own way would end wrong arguments with 64, which the unit takes for a failure
    /// that another start may mend.
    static func main() async {
        do {
            let command = try Self.parse()
            await command.run()
        } catch {
            if Self.exitCode(for: error).isSuccess { Self.exit(withError: error) }
            let message = "prustdb: \(Self.message(for: error)) (see prustdb --help)\n"
            let bytes = Array(message.utf8)
            _ = write(STDERR_FILENO, bytes, bytes.count)
            Glibc.exit(2)
        }
    }

    func run() async {
        let arguments = Daemon.Arguments(
            config: self.config,
            dataDirectory: self.dataDir,
            port: self.port,
            metricsListen: self.metricsListen,
            clientDirectory: self.clientDir,
            assignments: self.assignments
        )
        let status = await Daemon.run(arguments)
        Glibc.exit(status)
    }
}
