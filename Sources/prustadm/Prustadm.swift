import ArgumentParser
import PrustServer

/// Steers PrustDB nodes.
@main
struct Prustadm: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prustadm",
        abstract: "Founds, steers and examines PrustDB nodes.",
        discussion: """
            A running node is found by --socket, by --data-dir (its admin.sock), or by --node with \
            credentials; without any of them it is \(TargetOptions.defaultSocket).

            Exit codes: 0 done, 1 failed, 2 usage, 3 cannot reach the node, 4 not allowed, \
            5 needs confirmation, 6 outcome unknown.
            """,
        version: AdminClient.version,
        subcommands: [
            BootstrapCommand.self, StatusCommand.self, ReloadCommand.self, ClientCommand.self,
            UserCommand.self, RoleCommand.self, NodeCommand.self, ConfigCommand.self,
            LimitsCommand.self, DoctorCommand.self, CompletionCommand.self,
        ]
    )

    static func main() async {
        do {
            var command = try Self.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            if let status = ExitStatus.of(error) { Console.fail(status, "\(error)") }
            Self.exitFromParser(error)
        }
    }

    /// Help goes to standard output; what was wrong with the arguments is one line.
    private static func exitFromParser(_ error: any Error) -> Never {
        if Self.exitCode(for: error).isSuccess {
            Console.print(Self.fullMessage(for: error))
            Console.exit(.done)
        }
        let message = Self.message(for: error)
        Console.fail(.usage, "\(message) (see prustadm --help)")
    }
}

/// Shell completions.
struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion",
        abstract: "Prints the completions for a shell.",
        discussion: "For bash: prustadm completion bash > /etc/bash_completion.d/prustadm"
    )

    enum Shell: String, ExpressibleByArgument, CaseIterable {
        case bash
        case zsh
        case fish
    }

    @Argument(help: "bash, zsh or fish.")
    var shell: Shell

    func run() {
        let shell: CompletionShell =
            switch self.shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        Console.print(Prustadm.completionScript(for: shell))
    }
}
