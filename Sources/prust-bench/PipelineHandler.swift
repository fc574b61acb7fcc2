import NIOCore
import PrustDBClient
import PrustWire

/// What happens on a connection; called on its event loop, replies in the order of the commands.
protocol PipelineDelegate: AnyObject, SendableMetatype {
    func received(_ reply: RESPValue)
    /// All replies that have arrived so far were given: the moment to send more.
    func receivedAll()
    /// Nothing comes any more; called once.
    func closed(_ reason: String)
}

/// The thin layer between a channel and a workload: bytes out, parsed replies in, no promises.
///
/// It is generic over its delegate, so that the calls in the inner loop are direct.
final class PipelineHandler<Delegate: PipelineDelegate>: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let delegate: Delegate
    private var parser = RESPReplyParser()
    private var context: ChannelHandlerContext?
    private var isClosed = false

    init(delegate: Delegate) {
        self.delegate = delegate
    }

    /// Connects and puts a handler behind the greeting.
    ///
    /// - Parameters:
    ///   - target: Where to connect to.
    ///   - eventLoop: The loop on which everything of the connection happens, also this call.
    ///   - delegate: Hears of the replies.
    /// - Returns: The handler, ready to write.
    static func connect(
        to target: Target,
        on eventLoop: any EventLoop,
        delegate: Delegate
    ) -> EventLoopFuture<NIOLoopBound<PipelineHandler>> {
        let handler = NIOLoopBound(PipelineHandler(delegate: delegate), eventLoop: eventLoop)
        return target.dialer.dial(target.node, on: eventLoop).flatMapThrowing { channel in
            guard channel.isActive else {
                throw ClientError(.connectionLost, "the server closed the connection")
            }
            try channel.pipeline.syncOperations.addHandler(handler.value)
            return handler
        }
    }

    func write(_ bytes: ByteBuffer) {
        self.context?.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil)
    }

    func close() {
        self.context?.close(promise: nil)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.end("the connection was closed")
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.parser.append(self.unwrapInboundIn(data))
        do {
            while let reply = try self.parser.next() {
                if case .push = reply { continue }
                self.delegate.received(reply)
            }
        } catch {
            self.end("the server broke the protocol: \(error)")
            context.close(promise: nil)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !self.isClosed { self.delegate.receivedAll() }
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.end("\(error)")
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.end("the server closed the connection")
        context.fireChannelInactive()
    }

    private func end(_ reason: String) {
        guard !self.isClosed else { return }
        self.isClosed = true
        self.delegate.closed(reason)
    }
}
