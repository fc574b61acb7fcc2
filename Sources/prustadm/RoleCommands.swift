import ArgumentParser
import PrustServer

struct RoleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "role",
        abstract: "Roles: what users may do, on which keys.",
        subcommands: [List.self, Create.self, Delete.self]
    )

    static func keys(_ role: RoleReport) -> String {
        role.prefixes.isEmpty ? "all" : role.prefixes.joined(separator: " ")
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "Lists all roles, the built-in ones first."
        )

        @OptionGroup var target: TargetOptions

        func run() async throws {
            let body = try await self.target.client().send("GET", "/v1/roles")
            try self.target.show([RoleReport].self, body) { roles in
                TextTable.text(
                    ["ROLE", "VERBS", "KEYS", "KIND"],
                    roles.map { role in
                        [
                            role.name, role.verbs.map(\.rawValue).joined(separator: ","),
                            RoleCommand.keys(role), role.builtIn ? "built in" : "own",
                        ]
                    }
                )
            }
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create",
            abstract: "Makes a role."
        )

        @Argument(help: "1 to 64 of A-Z a-z 0-9 . _ -")
        var name: String

        @Option(help: "read, write or admin; may be given several times.")
        var verb: [String]

        @Option(help: "Beginning of the keys it is for; may be given several times; none is all.")
        var prefix: [String] = []

        @OptionGroup var target: TargetOptions

        func validate() throws {
            for verb in self.verb where Verb(rawValue: verb) == nil {
                throw ValidationError("--verb: expected read, write or admin, found \(verb)")
            }
        }

        func run() async throws {
            let creation = RoleCreation(
                name: self.name,
                verbs: self.verb.compactMap { Verb(rawValue: $0) },
                prefixes: self.prefix
            )
            let body = try await self.target.client()
                .send("POST", "/v1/roles", body: AdminJSON.encode(creation))
            try self.target.show(RoleReport.self, body) { role in
                "\(role.name): \(role.verbs.map(\.rawValue).joined(separator: ", ")) "
                    + "on keys: \(RoleCommand.keys(role))"
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete",
            abstract: "Deletes a role that no user has."
        )

        @Argument var name: String

        @Flag(help: "Do not ask.")
        var yes = false

        @OptionGroup var target: TargetOptions

        func run() async throws {
            let path = "/v1/roles/\(try PathPart.checked(self.name))"
            try Console.confirm("Delete role \(self.name)?", isConfirmed: self.yes)
            let body = try await self.target.client().send("DELETE", path)
            try self.target.show(DeletionReport.self, body) { "\($0.name): deleted" }
        }
    }
}
