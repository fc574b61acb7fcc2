import ArgumentParser
import PrustCore
import PrustReplication
import PrustSimulator

/// Runs whole clusters in one thread, seed by seed, and judges what their clients saw.
@main
struct SimCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prust-sim",
        abstract: "Simulate clusters of PrustDB under faults.",
        subcommands: [RunCommand.self, ReplayCommand.self]
    )
}
