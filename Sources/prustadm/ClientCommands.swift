import ArgumentParser
import PrustServer

struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Clients: users who come in with a certificate.",
        subcommands: [Create.self, List.self, Revoke.self]
    )

    struct Create: AsyncParsableCommand {
        private struct Answer: Encodable {
            var name: String
            var directory: String
            var serial: String
            var fingerprint: String
            var notAfter: Int64
        }

        static let configuration = CommandConfiguration(
            commandName: "create",
            abstract: "Signs a client certificate, and makes the user if there is none.",
            discussion: """
                Writes ca.crt, client.crt, client.key and the profile client.yaml into a new \
                directory. With --csr the key stays where it was made, and client.yaml must be \
                told where.
                """
        )

        @Argument(help: "Name of the user: 1 to 64 of A-Z a-z 0-9 . _ -")
        var name: String

        @Option(help: "Role of a new user; may be given several times.")
        var role: [String] = []

        @Option(help: "Certificate request (PEM) of a key that the client keeps.")
        var csr: String?

        @Option(help: "How long the certificate is good for (1 to 3650).")
        var days: Int = ClientIssuer.daysDefault

        @Option(help: "Where the files go. Default: ./NAME")
        var out: String?

        @OptionGroup var target: TargetOptions

        func run() async throws {
            let name = try PathPart.checked(self.name)
            let files = ClientFiles(directory: self.out ?? "./\(name)")
            let creation = ClientCreation(
                name: name,
                roles: self.role.isEmpty ? nil : self.role,
                csr: try self.csr.map { String(decoding: try TextFile.read($0), as: UTF8.self) },
                days: self.days
            )
            let client = try self.target.client()
            let status = try await client.send("GET", "/v1/status")
            let nodes = AdminJSON.decodeAnswer(StatusReport.self, from: status).map {
                [$0.advertise]
            }
            try files.prepare()
            let body = try await client.send(
                "POST",
                "/v1/clients",
                body: AdminJSON.encode(creation)
            )
            guard let credentials = AdminJSON.decodeAnswer(ClientCredentials.self, from: body)
            else { throw CommandFailure(.unknownOutcome, "the node's answer cannot be read") }
            try files.write(credentials, nodes: nodes ?? [])
            if credentials.key == nil { try files.leaveKeyOpen() }
            self.show(credentials, files)
        }

        private func show(_ credentials: ClientCredentials, _ files: ClientFiles) {
            if self.target.json {
                let answer = Answer(
                    name: credentials.name,
                    directory: files.directory,
                    serial: credentials.serial,
                    fingerprint: credentials.fingerprint,
                    notAfter: credentials.notAfter
                )
                return Console.print(json: AdminJSON.encode(answer))
            }
            let days = TextTable.days(
                until: credentials.notAfter,
                now: MachineClock.nowSeconds()
            )
            Console.print("\(credentials.name): \(files.directory) (good for \(days))")
            if credentials.key == nil {
                Console.note("next: say in \(files.profile) where the key is (key: FILE)")
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "Lists the client certificates that were signed and not revoked."
        )

        @OptionGroup var target: TargetOptions

        func run() async throws {
            let body = try await self.target.client().send("GET", "/v1/clients")
            let now = MachineClock.nowSeconds()
            try self.target.show([ClientReport].self, body) { clients in
                TextTable.text(
                    ["USER", "SERIAL", "GOOD FOR", "FINGERPRINT"],
                    clients.map { client in
                        [
                            client.name, client.serial,
                            TextTable.days(until: client.notAfter, now: now), client.fingerprint,
                        ]
                    }
                )
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke",
            abstract: "Revokes all certificates of a user; connections that use them end.",
            discussion: "The user stays; new certificates are made with client create."
        )

        @Argument var name: String

        @Flag(help: "Do not ask.")
        var yes = false

        @OptionGroup var target: TargetOptions

        func run() async throws {
            let path = "/v1/clients/\(try PathPart.checked(self.name))/revoke"
            try Console.confirm("Revoke all certificates of \(self.name)?", isConfirmed: self.yes)
            let body = try await self.target.client().send("POST", path)
            try self.target.show(RevocationReport.self, body) { report in
                "\(report.name): \(report.revoked) certificates revoked"
            }
        }
    }
}
