import ArgumentParser
import PrustDBClient

/// Where the node is and who we are, but for the private key, whose name varies.
struct NodeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Node to connect to.", valueName: "host:port"))
    var node: String?

    @Option(help: ArgumentHelp("File with the authority of the nodes.", valueName: "file"))
    var ca: String?

    @Option(help: ArgumentHelp("File with the client's certificate.", valueName: "file"))
    var cert: String?

    @Option(
        help: ArgumentHelp(
            "Profile with nodes and credentials; $PRUSTDB_PROFILE or"
                + " ~/.config/prustdb/client.yaml by default.",
            valueName: "file"
        )
    )
    var profile: String?

    /// Reads the files and picks the node.
    func target(keyFile: String?) throws(BenchError) -> Target {
        let given = [self.ca, self.cert, keyFile].count { $0 != nil }
        guard given == 0 || given == 3 else {
            throw BenchError(
                .usage,
                "the options of the authority, the certificate and its key"
                    + " go together"
            )
        }
        do {
            return try self.resolve(keyFile: keyFile)
        } catch {
            throw BenchError(error)
        }
    }

    private func resolve(keyFile: String?) throws(ClientError) -> Target {
        let credentials: ClientCredentials
        var node = try self.node.map { node throws(ClientError) in try NodeAddress(node) }
        if let ca = self.ca, let cert = self.cert, let keyFile {
            credentials = ClientCredentials(ca: ca, certificate: cert, key: keyFile)
        } else {
            let profile =
                if let file = self.profile {
                    try ClientProfile.load(file: file)
                } else {
                    try ClientProfile.load()
                }
            credentials = profile.credentials
            node = node ?? profile.nodes.first
        }
        let dialer = try Dialer(credentials: credentials, connectTimeout: .seconds(10))
        return Target(
            node: node ?? NodeAddress(host: "127.0.0.1", port: 8000),
            dialer: dialer
        )
    }
}

/// The connection options of `run` and `durability`.
struct ConnectionOptions: ParsableArguments {
    @OptionGroup var nodeOptions: NodeOptions

    @Option(
        name: [.customLong("key"), .customLong("cert-key")],
        help: ArgumentHelp("File with the certificate's private key.", valueName: "file")
    )
    var keyFile: String?

    func target() throws(BenchError) -> Target {
        try self.nodeOptions.target(keyFile: self.keyFile)
    }
}

/// The connection options of `load` and `verify`, where `--key` is a field of the records.
struct RecordConnectionOptions: ParsableArguments {
    @OptionGroup var nodeOptions: NodeOptions

    @Option(
        name: .customLong("cert-key"),
        help: ArgumentHelp("File with the certificate's private key.", valueName: "file")
    )
    var keyFile: String?

    func target() throws(BenchError) -> Target {
        try self.nodeOptions.target(keyFile: self.keyFile)
    }
}

/// A node and the means to connect to it.
struct Target: Sendable {
    let node: NodeAddress
    let dialer: Dialer
}
