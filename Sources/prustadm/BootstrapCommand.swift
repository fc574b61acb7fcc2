import ArgumentParser
import PrustServer

struct BootstrapCommand: ParsableCommand {
    private struct Answer: Encodable {
        var report: FoundingReport
        var config: String?
        var next: [String]
    }

    static let configuration = CommandConfiguration(
        commandName: "bootstrap",
        abstract: "Founds a new cluster with this machine as its first node.",
        discussion: """
            Makes the CA, the node's identity and an admin user with its credentials. An \
            interrupted bootstrap is finished by running it again; a finished one is left alone. \
            Needs no running node, and none may run in the directory.
            """
    )

    static let defaultConfig = "/etc/prustdb/prustdb.yaml"
    static let defaultDirectory = "/var/lib/prustdb"

    @Option(help: "Data directory. Default: the settings file's, else /var/lib/prustdb.")
    var dataDir: String?

    @Option(help: "Settings file. Default: /etc/prustdb/prustdb.yaml where it exists.")
    var config: String?

    @Option(help: "HOST:PORT to listen on. Default: the settings file's, else 127.0.0.1:8000.")
    var listen: String?

    @Option(help: "HOST:PORT under which others reach the node. Default: the settings file's.")
    var advertise: String?

    @Option(help: "Directory for the admin user's credentials. Default: ~/.config/prustdb")
    var clientDir: String?

    @Option(help: "P: the cluster has 2^P partitions for ever (0 to 20).")
    var partitionBits: Int?

    @Option(help: "Copies of every key (1 to 7).")
    var replicationFactor: Int?

    @Flag(help: "Write listen and advertise into the settings file.")
    var writeConfig = false

    @Flag(help: "Do not ask.")
    var yes = false

    @Flag(help: "Only show the plan.")
    var plan = false

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        if let bits = self.partitionBits, !(0...20).contains(bits) {
            throw ValidationError("--partition-bits: expected 0 to 20, found \(bits)")
        }
        if let factor = self.replicationFactor, !(1...7).contains(factor) {
            throw ValidationError("--replication-factor: expected 1 to 7, found \(factor)")
        }
    }

    func run() throws {
        let config = try BootstrapConfig(path: self.config, fallback: Self.defaultConfig)
        let plan = try self.makePlan(config)
        var steps = plan.description
        if self.writeConfig {
            guard let path = config.path else {
                throw CommandFailure(.usage, "--write-config needs --config FILE")
            }
            steps.append(
                "set listen: \(plan.listen) and advertise: \(plan.advertise) in \(path)"
            )
        }
        let isFounded = Founding.isFounded(plan.dataDirectory)
        if !self.json || self.plan { self.show(steps, isFounded: isFounded) }
        if self.plan { return }
        if !isFounded {
            try Console.confirm("Found the cluster?", isConfirmed: self.yes)
        }
        let report = try Founding.found(plan, now: MachineClock.now())
        if self.writeConfig { try config.write(listen: plan.listen, advertise: plan.advertise) }
        self.show(report, plan, config)
    }

    private func makePlan(_ config: BootstrapConfig) throws -> FoundingPlan {
        let listen = try Self.endpoint("--listen", self.listen) ?? config.listen
        let hostName = Founding.hostName()
        // Somebody who listens on all addresses is reached under the machine's name.
        let ownHost = listen.isWildcard && !hostName.isEmpty ? hostName : listen.host
        let own = Endpoint(host: ownHost, port: listen.port)
        let advertise = try Self.endpoint("--advertise", self.advertise) ?? config.advertise ?? own
        guard let clientDirectory = self.clientDir ?? ClientProfile.defaultDirectory() else {
            throw CommandFailure(.usage, "--client-dir DIR is needed: $HOME is not set")
        }
        return FoundingPlan(
            dataDirectory: self.dataDir ?? config.dataDirectory ?? Self.defaultDirectory,
            clientDirectory: clientDirectory,
            listen: listen,
            advertise: advertise,
            partitionBits: self.partitionBits ?? config.partitionBits,
            replicationFactor: self.replicationFactor ?? config.replicationFactor
        )
    }

    private static func endpoint(_ option: String, _ text: String?) throws -> Endpoint? {
        guard let text else { return nil }
        guard let endpoint = Endpoint(text), endpoint.port > 0 else {
            throw CommandFailure(
                .usage,
                "\(option): expected HOST:PORT or [IPV6]:PORT, found \(text)"
            )
        }
        return endpoint
    }

    private func show(_ steps: [String], isFounded: Bool) {
        let title = isFounded ? "This was done before and is left alone:" : "This will be done:"
        Console.note(([title] + steps.map { "  - \($0)" }).joined(separator: "\n"))
    }

    private func show(_ report: FoundingReport, _ plan: FoundingPlan, _ config: BootstrapConfig) {
        let isPackaged = config.path == Self.defaultConfig
        let start =
            isPackaged
            ? "systemctl start prustdb"
            : config.path.map { "prustdb --config \($0)" }
                ?? "prustdb --data-dir \(report.dataDirectory) --port \(plan.listen.port)"
        let node = isPackaged ? "" : " --data-dir \(report.dataDirectory)"
        let next = [start, "prustadm status\(node)", "prustadm doctor\(node)"]
        if self.json {
            let answer = Answer(
                report: report,
                config: self.writeConfig ? config.path : nil,
                next: next
            )
            return Console.print(json: AdminJSON.encode(answer))
        }
        var facts: [(String, String)] = [
            ("cluster ID", report.clusterID), ("node ID", report.nodeID),
            ("data", report.dataDirectory), ("address", report.advertise),
        ]
        if let directory = report.clientDirectory {
            facts.append(("credentials", "\(directory) (user \(report.clientName), role admin)"))
        }
        facts.append(("next", next.joined(separator: ", ")))
        let title = report.isNew ? "The cluster is founded." : "The cluster was founded before."
        Console.print("\(title)\n\(TextTable.facts(facts))")
    }
}
