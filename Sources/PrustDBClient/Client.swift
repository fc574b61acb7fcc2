private import NIOCore
private import NIOPosix
private import PrustCore

/// A client of a PrustDB cluster.
///
/// It keeps a small pool of connections over TLS. Calls that run at the same time share the
/// connections and are pipelined on them without further ado: to do many things at once, start many
/// tasks. All methods may be called from any task.
///
/// Every call has a deadline. A call that fails throws a ``ClientError`` whose `outcome` says
/// whether it changed anything. The library repeats reads when a connection breaks under them, and
/// writes that were never sent; it never repeats a write that was sent.
///
/// Bounds: keys of 4 KiB, values of 16 MiB, and those of ``ClientConfiguration``. Keys and values
/// are bytes: any collection of `UInt8` goes in and `[UInt8]` comes out; methods that take or give
/// a `String` use its UTF-8 bytes.
public final class Client: Sendable {
    let driver: PoolDriver
    let configuration: ClientConfiguration

    init(driver: PoolDriver, configuration: ClientConfiguration) {
        self.driver = driver
        self.configuration = configuration
    }

    deinit {
        self.driver.shut(deadline: self.configuration.deadline)
    }

    /// Connects to a node with the credentials of the user's profile.
    ///
    /// The profile is the file that `PRUSTDB_PROFILE` names, else `~/.config/prustdb/client.yaml`.
    /// It holds `nodes` (a list of HOST:PORT), `ca`, and either `cert` and `key` or `user` and
    /// `password-file`; relative paths are relative to the file.
    ///
    /// - Parameters:
    ///   - address: HOST:PORT of the node; without it the profile's nodes are tried in turn.
    ///   - configuration: Bounds of the client.
    /// - Returns: A client with a connection.
    /// - Throws: ``ClientError`` when the profile is not valid, with file, line and field, or when
    ///   no node can be reached.
    public static func connect(
        _ address: String? = nil,
        configuration: ClientConfiguration = ClientConfiguration()
    ) async throws(ClientError) -> Client {
        let profile = try ClientProfile.load()
        let nodes = try address.map { address throws(ClientError) in [try NodeAddress(address)] }
        return try await Self.connect(
            nodes: nodes ?? profile.nodes,
            credentials: profile.credentials,
            configuration: configuration
        )
    }

    /// Connects to a node with explicit credentials.
    ///
    /// - Parameters:
    ///   - address: HOST:PORT of the node.
    ///   - credentials: Who the client is.
    ///   - configuration: Bounds of the client.
    /// - Returns: A client with a connection.
    /// - Throws: ``ClientError`` when a file is not valid or the node cannot be reached.
    public static func connect(
        _ address: String,
        credentials: ClientCredentials,
        configuration: ClientConfiguration = ClientConfiguration()
    ) async throws(ClientError) -> Client {
        try await Self.connect(
            nodes: [try NodeAddress(address)],
            credentials: credentials,
            configuration: configuration
        )
    }

    private static func connect(
        nodes: [NodeAddress],
        credentials: ClientCredentials,
        configuration: ClientConfiguration
    ) async throws(ClientError) -> Client {
        let dialer = try Dialer(
            credentials: credentials,
            connectTimeout: configuration.connectTimeout
        )
        return try await Self.connect(nodes: nodes, dialer: dialer, configuration: configuration)
    }

    /// Connects with means that were prepared before.
    package static func connect(
        nodes: [NodeAddress],
        dialer: Dialer,
        configuration: ClientConfiguration
    ) async throws(ClientError) -> Client {
        try configuration.validate()
        let driver = PoolDriver(
            nodes: nodes,
            dialer: dialer,
            configuration: configuration,
            group: MultiThreadedEventLoopGroup.singleton
        )
        let client = Client(driver: driver, configuration: configuration)
        driver.start()
        do {
            try await client.ping()
        } catch {
            await client.close()
            throw error
        }
        return client
    }

    /// Ends the client.
    ///
    /// Calls under way go on until they end or the default deadline has passed; waiting and new
    /// calls fail with the code `closed`. Returns when the connections are closed.
    public func close() async {
        await self.driver.close(deadline: self.configuration.deadline)
    }

    /// Asks a node for a sign of life.
    ///
    /// - Parameter deadline: How long the call may take; the configuration's by default.
    /// - Throws: ``ClientError``.
    public func ping(deadline: Duration? = nil) async throws(ClientError) {
        let builder = CommandBuilder("PING", argumentCount: 0, isWrite: false)
        _ = try await self.perform(builder, deadline: deadline)
    }

    func perform(
        _ builder: CommandBuilder,
        deadline: Duration?
    ) async throws(ClientError) -> ReplyReader {
        if let deadline { try ClientConfiguration.check("deadline", deadline) }
        let command = builder.command()
        let byteCount = command.bytes.readableBytes
        guard byteCount <= Limits.commandByteCountMax else {
            throw ClientError(
                .tooLarge,
                "the command has \(byteCount) bytes, at most \(Limits.commandByteCountMax) are"
                    + " accepted (commandByteCountMax)"
            )
        }
        let reply = try await self.driver.perform(command, deadline: deadline).get()
        return try ReplyReader(reply, isWrite: command.isWrite)
    }

    func check(key: some Collection<UInt8>) throws(ClientError) {
        guard key.count <= Limits.keyByteCountMax else {
            throw ClientError(
                .tooLarge,
                "the key has \(key.count) bytes, at most \(Limits.keyByteCountMax) are accepted"
                    + " (keyByteCountMax)"
            )
        }
    }

    func check(value: some Collection<UInt8>) throws(ClientError) {
        guard value.count <= self.configuration.valueByteCountMax else {
            throw ClientError(
                .tooLarge,
                "the value has \(value.count) bytes, at most"
                    + " \(self.configuration.valueByteCountMax) are accepted (valueByteCountMax)"
            )
        }
    }

    func check(argumentCount: Int) throws(ClientError) {
        guard argumentCount <= Limits.argumentCountMax - 3 else {
            throw ClientError(
                .tooLarge,
                "the command has \(argumentCount) arguments, at most"
                    + " \(Limits.argumentCountMax - 3) are accepted (argumentCountMax)"
            )
        }
    }
}
