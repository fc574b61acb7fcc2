import ArgumentParser
import PrustServer

struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user",
        abstract: "Users: who may come in, and with which roles.",
        subcommands: [
            List.self, Create.self, Password.self, Grant.self, Enable.self, Disable.self,
            Delete.self,
        ]
    )

    /// Passwords come from a file, standard input or the terminal, never from an argument, which
    /// every user of the machine could read.
    struct PasswordOptions: ParsableArguments {
        @Option(help: "File whose first line is the password; - is standard input.")
        var passwordFile: String?

        func read() throws -> String {
            if let file = self.passwordFile { return try Console.password(file: file) }
            guard Console.isInteractive else {
                throw CommandFailure(.usage, "give --password-file FILE (- is standard input)")
            }
            return try Console.newPassword()
        }
    }

    static func line(_ user: UserReport) -> String {
        let roles = user.roles.isEmpty ? "no roles" : user.roles.joined(separator: ", ")
        return "\(user.name): \(user.enabled ? "enabled" : "disabled"), \(roles)"
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "Lists all users."
        )

        @OptionGroup var target: TargetOptions

        func run() async throws {
            let body = try await self.target.client().send("GET", "/v1/users")
            try self.target.show([UserReport].self, body) { users in
                TextTable.text(
                    ["USER", "STATE", "ROLES", "PASSWORD", "CERTIFICATES"],
                    users.map { user in
                        [
                            user.name, user.enabled ? "enabled" : "disabled",
                            user.roles.joined(separator: ","), user.hasPassword ? "yes" : "no",
                            "\(user.certificates)",
                        ]
                    }
                )
            }
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create",
            abstract: "Makes a user who comes in with a password.",
            discussion: "A client with a certificate is made with prustadm client create."
        )

        @Argument(help: "1 to 64 of A-Z a-z 0-9 . _ -")
        var name: String

        @Option(help: "A role; may be given several times.")
        var role: [String] = []

        @Flag(help: "Without a password: only certificates let the user in.")
        var noPassword = false

        @OptionGroup var password: PasswordOptions
        @OptionGroup var target: TargetOptions

        func run() async throws {
            let creation = UserCreation(
                name: self.name,
                roles: self.role,
                password: self.noPassword ? nil : try self.password.read()
            )
            let body = try await self.target.client()
                .send("POST", "/v1/users", body: AdminJSON.encode(creation))
            try self.target.show(UserReport.self, body) { UserCommand.line($0) }
        }
    }

    struct Password: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "password",
            abstract: "Gives a user another password."
        )

        @Argument var name: String
        @OptionGroup var password: PasswordOptions
        @OptionGroup var target: TargetOptions

        func run() async throws {
            let change = PasswordChange(password: try self.password.read())
            let body = try await self.target.client().send(
                "PUT",
                "/v1/users/\(try PathPart.checked(self.name))/password",
                body: AdminJSON.encode(change)
            )
            try self.target.show(UserReport.self, body) { UserCommand.line($0) }
        }
    }

    struct Grant: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "grant",
            abstract: "Replaces the roles of a user by those given."
        )

        @Argument var name: String

        @Option(help: "A role; may be given several times.")
        var role: [String] = []

        @OptionGroup var target: TargetOptions

        func run() async throws {
            let body = try await self.target.client().send(
                "PUT",
                "/v1/users/\(try PathPart.checked(self.name))/roles",
                body: AdminJSON.encode(RolesChange(roles: self.role))
            )
            try self.target.show(UserReport.self, body) { UserCommand.line($0) }
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "enable",
            abstract: "Lets a disabled user in again."
        )

        @Argument var name: String
        @OptionGroup var target: TargetOptions

        func run() async throws {
            let path = "/v1/users/\(try PathPart.checked(self.name))/enable"
            let body = try await self.target.client().send("POST", path)
            try self.target.show(UserReport.self, body) { UserCommand.line($0) }
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "disable",
            abstract: "Keeps a user out, connections that are open too."
        )

        @Argument var name: String
        @OptionGroup var target: TargetOptions

        func run() async throws {
            let path = "/v1/users/\(try PathPart.checked(self.name))/disable"
            let body = try await self.target.client().send("POST", path)
            try self.target.show(UserReport.self, body) { UserCommand.line($0) }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete",
            abstract: "Deletes a user and revokes its certificates."
        )

        @Argument var name: String

        @Flag(help: "Do not ask.")
        var yes = false

        @OptionGroup var target: TargetOptions

        func run() async throws {
            let path = "/v1/users/\(try PathPart.checked(self.name))"
            try Console.confirm(
                "Delete user \(self.name) and revoke its certificates?",
                isConfirmed: self.yes
            )
            let body = try await self.target.client().send("DELETE", path)
            try self.target.show(DeletionReport.self, body) { "\($0.name): deleted" }
        }
    }
}

/// A name as a part of a path of the admin API.
enum PathPart {
    static func checked(_ name: String) throws -> String {
        guard AccessDocument.isValidName(name) else {
            throw CommandFailure(.usage, "\(name): expected a name of A-Z a-z 0-9 . _ -")
        }
        return name
    }
}
