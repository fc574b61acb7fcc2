import ArgumentParser
import Glibc
import PrustServer

/// How a command finds a running node.
struct TargetOptions: ParsableArguments {
    static let defaultSocket = "/run/prustdb/admin.sock"

    @Option(help: "Unix socket of the node's admin API.")
    var socket: String?

    @Option(help: "Data directory of a node on this machine; its admin.sock is used.")
    var dataDir: String?

    @Option(help: "HOST:PORT of a node; needs credentials of a user with the verb admin.")
    var node: String?

    @Option(
        help: """
            Directory with ca.crt, client.crt and client.key for --node. Default: the profile \
            ($PRUSTDB_PROFILE, or ~/.config/prustdb/client.yaml).
            """
    )
    var credentials: String?

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        let given = [self.socket, self.dataDir, self.node].compactMap(\.self)
        guard given.count <= 1 else {
            throw ValidationError("give one of --socket, --data-dir and --node")
        }
        guard self.credentials == nil || self.node != nil else {
            throw ValidationError("--credentials goes with --node")
        }
    }

    /// The node to talk to.
    func client() throws -> AdminClient {
        if let socket = self.socket { return AdminClient(.socket(path: socket)) }
        if let directory = self.dataDir {
            return AdminClient(.socket(path: directory + "/admin.sock"))
        }
        guard let node = self.node else { return AdminClient(.socket(path: Self.defaultSocket)) }
        guard let endpoint = Endpoint(node), endpoint.port > 0 else {
            throw CommandFailure(.usage, "--node: expected HOST:PORT or [IPV6]:PORT, found \(node)")
        }
        let files = try self.credentialFiles()
        return AdminClient(
            .node(
                endpoint,
                authority: files.authority,
                certificate: files.certificate,
                key: files.key
            )
        )
    }

    private func credentialFiles() throws -> ClientProfile {
        if let directory = self.credentials {
            let files = ClientFiles(directory: directory)
            return ClientProfile(
                authority: files.authority,
                certificate: files.certificate,
                key: files.key
            )
        }
        guard let path = ClientProfile.defaultPath() else {
            throw CommandFailure(.usage, "--credentials DIR is needed: $HOME is not set")
        }
        do {
            return try ClientProfile(bytes: TextFile.read(path), name: path)
        } catch {
            throw CommandFailure(.usage, "no usable profile (or say --credentials DIR): \(error)")
        }
    }

    /// Prints an answer as JSON or as text.
    func show<Value: Decodable>(
        _ type: Value.Type,
        _ body: [UInt8],
        _ text: (Value) -> String
    ) throws {
        if self.json { return Console.print(json: body) }
        guard let value = AdminJSON.decodeAnswer(type, from: body) else {
            throw CommandFailure(
                .failed,
                "the node's answer cannot be read: is prustadm of the same version?"
            )
        }
        Console.print(text(value))
    }
}
