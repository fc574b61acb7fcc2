import ArgumentParser
import PrustServer

struct NodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node",
        abstract: "The node of this machine.",
        subcommands: [Renew.self]
    )

    struct Renew: ParsableCommand {
        private struct Answer: Encodable {
            var report: RenewalReport
            var next: String
        }

        static let configuration = CommandConfiguration(
            commandName: "renew",
            abstract: "Gives the node a new key and certificate, with the names of the old one.",
            discussion: """
                Signs with the CA key in the data directory. The node may run; a reload makes it \
                take the new files. An interrupted renewal is repaired by another one.
                """
        )

        @Option(help: "Data directory of the node.")
        var dataDir: String?

        @Option(help: "Settings file of the node. Default: /etc/prustdb/prustdb.yaml")
        var config: String?

        @Flag(help: "Print JSON.")
        var json = false

        func validate() throws {
            if self.dataDir != nil, self.config != nil {
                throw ValidationError("give one of --data-dir and --config")
            }
        }

        func run() throws {
            let file = OfflineSettings.file(config: self.config, dataDirectory: self.dataDir)
            guard file != nil || self.dataDir != nil else {
                throw CommandFailure(.usage, "--data-dir DIR or --config FILE is needed")
            }
            let settings = try OfflineSettings.load(file: file, dataDirectory: self.dataDir)
                .settings
            let report = try Founding.renew(settings, now: MachineClock.now())
            let isService =
                file == BootstrapCommand.defaultConfig
                || settings.dataDirectory == BootstrapCommand.defaultDirectory
            let next =
                isService
                ? "systemctl reload prustdb" : "prustadm reload --socket \(settings.adminSocket)"
            if self.json {
                let answer = Answer(report: report, next: next)
                return Console.print(json: AdminJSON.encode(answer))
            }
            let days = TextTable.days(until: report.notAfter, now: MachineClock.nowSeconds())
            Console.print(
                "The node has a new key and certificate.\n"
                    + TextTable.facts([
                        ("node ID", report.nodeID), ("key", report.key),
                        ("certificate", "\(report.certificate) (good for \(days))"),
                        ("next", next),
                    ])
            )
        }
    }
}
