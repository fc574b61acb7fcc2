import ArgumentParser
import PrustServer

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Checks and shows settings.",
        subcommands: [Check.self, Show.self]
    )

    struct Check: ParsableCommand {
        private struct Answer: Encodable {
            var file: String
            var ok: Bool
            var problems: [SettingsProblem]
        }

        static let configuration = CommandConfiguration(
            commandName: "check",
            abstract: "Lists every problem of a settings file; needs no node."
        )

        @Argument(help: "The settings file.")
        var file: String

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            var problems: [SettingsProblem] = []
            do throws(SettingsError) {
                _ = try OfflineSettings.load(file: self.file)
            } catch {
                problems = error.problems
            }
            if self.json {
                let answer = Answer(file: self.file, ok: problems.isEmpty, problems: problems)
                Console.print(json: AdminJSON.encode(answer))
            } else {
                Console.print(
                    problems.isEmpty
                        ? "ok" : problems.map(\.description).joined(separator: "\n")
                )
            }
            guard problems.isEmpty else {
                let count = problems.count == 1 ? "1 problem" : "\(problems.count) problems"
                throw CommandFailure(.failed, "\(self.file) has \(count)")
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show",
            abstract: "Prints settings: of a running node, of a file, or the defaults.",
            discussion: "The text is a settings file, with what each setting is for."
        )

        @OptionGroup var target: TargetOptions

        @Flag(help: "The defaults; needs no node.")
        var defaults = false

        @Flag(help: .hidden)
        var manual = false

        @Option(help: "What a node would run with, given this file; needs no node.")
        var file: String?

        func validate() throws {
            if self.defaults, self.file != nil {
                throw ValidationError("give one of --defaults and --file")
            }
        }

        func run() async throws {
            if self.manual { return Console.write(SettingsManual.markdown()) }
            if self.defaults {
                return self.show(Settings.Loaded(settings: .defaults, origins: [:]))
            }
            if let file = self.file { return self.show(try OfflineSettings.load(file: file)) }
            let body = try await self.target.client().send("GET", "/v1/settings")
            try self.target.show([SettingReport].self, body) { reports in
                TextTable.text(
                    ["SETTING", "VALUE", "FROM"],
                    reports.map { [$0.name, $0.value ?? "-", $0.origin ?? "default"] }
                )
            }
        }

        private func show(_ loaded: Settings.Loaded) {
            if self.target.json {
                Console.print(json: AdminJSON.encode(SettingReport.all(loaded)))
            } else {
                Console.write(SettingsManual.yaml(loaded.settings, origins: loaded.origins))
            }
        }
    }
}
