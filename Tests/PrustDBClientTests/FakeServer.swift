import NIOCore
import NIOPosix
import PrustWire
import Synchronization

@testable import PrustDBClient

/// A server on loopback that answers by a script and remembers what it was told.
///
/// The greeting is answered by itself, unless the script says otherwise.
final class FakeServer: Sendable {
    enum Answer: Sendable {
        case reply(String)
        /// Says nothing, now or later.
        case silence
        /// Closes the connection without a reply.
        case close
        /// The usual answer to the greeting.
        case greeting
    }

    typealias Script = @Sendable (_ command: [String], _ connection: Int) -> Answer

    private struct State {
        var commands: [[String]] = []
        var connectionCount = 0
        var channels: [any Channel] = []
    }

    private let script: Script
    private let state = Mutex(State())
    private let channel: Mutex<(any Channel)?> = Mutex(nil)

    private init(script: @escaping Script) {
        self.script = script
    }

    static func start(_ script: @escaping Script) async throws -> FakeServer {
        let server = FakeServer(script: script)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FakeHandler(server: server))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        server.channel.withLock { $0 = channel }
        return server
    }

    var port: Int { self.channel.withLock { $0?.localAddress?.port } ?? 0 }

    /// Where it listens, until it is stopped.
    var address: NodeAddress { NodeAddress(host: "127.0.0.1", port: self.port) }

    /// What was received, greetings left out.
    var commands: [[String]] { self.state.withLock { $0.commands } }
    var connectionCount: Int { self.state.withLock { $0.connectionCount } }

    /// Writes to all connections without being asked.
    func say(_ text: String) {
        for channel in self.state.withLock({ $0.channels }) {
            channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
        }
    }

    func stop() async {
        let channels = self.state.withLock { $0.channels }
        for channel in channels { try? await channel.close() }
        try? await self.channel.withLock { $0 }?.close()
    }

    /// Runs a body with a server and a connected client, and ends both.
    static func with(
        configuration: ClientConfiguration = .init(),
        script: @escaping Script,
        body: (Client, FakeServer) async throws -> Void
    ) async throws {
        let server = try await FakeServer.start(script)
        let client = try await server.connect(configuration: configuration)
        do {
            try await body(client, server)
        } catch {
            await client.close()
            await server.stop()
            throw error
        }
        await client.close()
        await server.stop()
    }

    func connect(
        configuration: ClientConfiguration = .init(),
        user: (String, String)? = nil
    ) async throws(ClientError) -> Client {
        try configuration.validate()
        return try await Client.connect(
            nodes: [self.address],
            dialer: Dialer(
                plainTextFor: user.map { (name: $0.0, password: $0.1) },
                connectTimeout: .seconds(5)
            ),
            configuration: configuration
        )
    }

    fileprivate func joined(_ channel: any Channel) -> Int {
        self.state.withLock { state in
            state.connectionCount += 1
            state.channels.append(channel)
            return state.connectionCount
        }
    }

    fileprivate func answer(_ command: [String], _ connection: Int) -> Answer {
        let isGreeting = command.first == "HELLO" || command.first == "CLIENT"
        if !isGreeting, command != ["PING"] {
            self.state.withLock { $0.commands.append(command) }
        }
        let answer = self.script(command, connection)
        if case .greeting = answer {
            switch command.first {
            case "HELLO": return .reply("%1\r\n+server\r\n+fake\r\n")
            case "CLIENT": return .reply("-ERR unknown subcommand\r\n")
            case "PING": return .reply("+PONG\r\n")
            default: return .reply("-ERR not in the script\r\n")
            }
        }
        return answer
    }
}

private final class FakeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let server: FakeServer
    /// A command is an array of byte strings, which is also a reply.
    private var parser = RESPReplyParser()
    private var connection = 0

    init(server: FakeServer) {
        self.server = server
    }

    func channelActive(context: ChannelHandlerContext) {
        self.connection = self.server.joined(context.channel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.parser.append(self.unwrapInboundIn(data))
        while let value = try? self.parser.next() {
            guard case .array(let arguments) = value else { continue }
            let command = arguments.map { String(buffer: $0.bytes ?? ByteBuffer()) }
            switch self.server.answer(command, self.connection) {
            case .reply(let text):
                context.write(self.wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            case .silence, .greeting: break
            case .close: return context.close(promise: nil)
            }
        }
        context.flush()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
