import ArgumentParser
import Glibc

/// Puts load on a PrustDB, fills it with real data and checks what it holds.
struct PrustBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prust-bench",
        abstract: "Load, measure and verify a PrustDB.",
        discussion: """
            Exit status: 0 done, 1 failed or a difference was found, 2 usage, 3 cannot reach the \
            node, 4 not allowed, 6 the outcome of a write is unknown.
            """,
        subcommands: [
            RunCommand.self, LoadCommand.self, VerifyCommand.self, DurabilityCommand.self,
        ]
    )
}

@main
enum Main {
    static func main() async {
        // A peer that goes away is an error of its connection, not a signal for the process.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try PrustBench.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let error as BenchError {
            Terminal.error(error.message)
            exit(error.status.rawValue)
        } catch {
            let status = PrustBench.exitCode(for: error)
            guard !status.isSuccess else { PrustBench.exit(withError: error) }
            if let status = error as? ExitCode { exit(status.rawValue) }
            Terminal.error(PrustBench.message(for: error))
            exit(BenchError.Status.usage.rawValue)
        }
    }
}
