import NIOCore
import NIOPosix
import PrustDBClient
import PrustWire
import Synchronization

@testable import prust_bench

/// A node on loopback, without TLS, that greets and then answers every command in the same way.
final class FakeNode: Sendable {
    enum Answer: Sendable {
        case reply(String)
        /// Says nothing, now or later.
        case silence
        /// Closes the connection without a reply and takes no other.
        case leave
    }

    private struct State {
        var commandCount = 0
        var listener: (any Channel)?
        var channels: [any Channel] = []
    }

    private let answer: Answer
    private let state = Mutex(State())

    private init(answer: Answer) {
        self.answer = answer
    }

    static func start(_ answer: Answer) async throws -> FakeNode {
        let node = FakeNode(answer: answer)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FakeNodeHandler(node: node))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        node.state.withLock { $0.listener = listener }
        return node
    }

    /// Where it listens, until it leaves or is stopped.
    var target: Target {
        let port = self.state.withLock { $0.listener }?.localAddress?.port
        return Target(
            node: NodeAddress(host: "127.0.0.1", port: port ?? 0),
            dialer: Dialer(plainTextFor: nil, connectTimeout: .seconds(5))
        )
    }

    /// Commands that were received, greetings left out.
    var commandCount: Int { self.state.withLock { $0.commandCount } }

    func stop() async {
        let (listener, channels) = self.state.withLock { ($0.listener, $0.channels) }
        for channel in channels { try? await channel.close() }
        try? await listener?.close()
    }

    fileprivate func joined(_ channel: any Channel) {
        self.state.withLock { $0.channels.append(channel) }
    }

    fileprivate func received() -> Answer {
        let listener = self.state.withLock { state in
            state.commandCount += 1
            return state.listener
        }
        if case .leave = self.answer { listener?.close(promise: nil) }
        return self.answer
    }
}

private final class FakeNodeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let node: FakeNode
    /// A command is an array of byte strings, which is also a reply.
    private var parser = RESPReplyParser()

    init(node: FakeNode) {
        self.node = node
    }

    func channelActive(context: ChannelHandlerContext) {
        self.node.joined(context.channel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.parser.append(self.unwrapInboundIn(data))
        while let value = try? self.parser.next() {
            guard case .array(let arguments) = value else { continue }
            switch arguments.first.map({ String(buffer: $0.bytes ?? ByteBuffer()) }) {
            case "HELLO": self.write("%1\r\n+server\r\n+fake\r\n", context: context)
            case "CLIENT": self.write("-ERR unknown subcommand\r\n", context: context)
            default:
                switch self.node.received() {
                case .reply(let text): self.write(text, context: context)
                case .silence: break
                case .leave: return context.close(promise: nil)
                }
            }
        }
        context.flush()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func write(_ text: String, context: ChannelHandlerContext) {
        context.write(self.wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }
}
