import ArgumentParser
import PrustReplication
import PrustSimulator

/// `prust-sim run --seeds A..B`.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a range of seeds and name the first that break a rule."
    )

    @Option(help: "First and last seed.")
    var seeds = "1..200"

    @Option(help: "Break a rule on purpose: the checkers must find it.")
    var flaw = Flaw.none

    @Flag(help: "End at the first seed with a violation.")
    var stop = false

    func run() throws {
        let bounds = self.seeds.split(separator: ".", omittingEmptySubsequences: true)
            .compactMap { UInt64($0) }
        guard bounds.count == 2, bounds[0] <= bounds[1] else {
            throw ValidationError("--seeds takes FIRST..LAST, such as 1..200")
        }
        var totals: [String: Int] = [:]
        var bad = 0
        var hash: UInt64 = 0
        for seed in bounds[0]...bounds[1] {
            var simulation = ClusterSimulation(seed: seed, flaw: self.flaw)
            let report = simulation.run()
            hash = hash &* 31 &+ report.hash
            totals["operations", default: 0] += report.operationCount
            totals["events", default: 0] += report.eventCount
            totals["undecided", default: 0] += report.undecidedCount
            for (name, count) in report.counters { totals[name, default: 0] += count }
            guard !report.violations.isEmpty else { continue }
            bad += 1
            print("seed \(seed): \(report.violations.prefix(3).joined(separator: "; "))")
            if self.stop { break }
        }
        for name in totals.keys.sorted() { print("\(name): \(totals[name] ?? 0)") }
        print("seeds with violations: \(bad), hash \(String(hash, radix: 16))")
        if bad > 0, self.flaw == .none { throw ExitCode(1) }
    }
}

extension Flaw: ExpressibleByArgument {}
