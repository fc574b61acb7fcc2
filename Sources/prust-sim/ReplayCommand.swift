import ArgumentParser
import PrustReplication
import PrustSimulator

/// `prust-sim replay SEED`.
struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Run one seed again."
    )

    @Argument(help: "The seed.")
    var seed: UInt64

    @Option(help: "Break a rule on purpose.")
    var flaw = Flaw.none

    @Flag(help: "Print everything that happens.")
    var trace = false

    func run() throws {
        var simulation = ClusterSimulation(seed: self.seed, flaw: self.flaw)
        if self.trace { simulation.trace = { print($0) } }
        let report = simulation.run()
        for violation in report.violations { print(violation) }
        for (name, count) in report.counters { print("\(name): \(count)") }
        print("operations \(report.operationCount), hash \(String(report.hash, radix: 16))")
        if !report.violations.isEmpty { throw ExitCode(1) }
    }
}
