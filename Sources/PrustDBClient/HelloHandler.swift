import NIOCore
private import PrustTLS
private import PrustWire

/// Greets the server on a new connection: RESP3, the password if there is one, the library's name.
///
/// It completes its promise exactly once and leaves the pipeline before it succeeds.
final class HelloHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case waiting
        /// Replies that are still owed; the first of all is the one that counts.
        case greeting(owedCount: Int)
        case done
    }

    private static let replyCount = 2

    private let user: (name: String, password: String)?
    private let overTLS: Bool
    private let timeout: TimeAmount
    private let promise: EventLoopPromise<Void>
    private var parser = RESPReplyParser(
        bounds: .init(bulkByteCountMax: 64 * 1024, replyByteCountMax: 1024 * 1024)
    )
    private var state = State.waiting
    private var timer: Scheduled<Void>?

    init(
        user: (name: String, password: String)?,
        overTLS: Bool,
        timeout: TimeAmount,
        promise: EventLoopPromise<Void>
    ) {
        self.user = user
        self.overTLS = overTLS
        self.timeout = timeout
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        self.arm(context)
        if !self.overTLS { self.greet(context) }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is TLSHandshakeCompleted { self.greet(context) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.parser.append(self.unwrapInboundIn(data))
        do {
            while let reply = try self.parser.next() { self.received(reply, context: context) }
        } catch {
            let message = "the server does not speak RESP: \(error)"
            self.fail(ClientError(.protocolViolation, message, cause: error), context: context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.fail(Dialer.clientError(error), context: context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let message = "the server closed the connection during the greeting"
        self.fail(ClientError(.connectionLost, message), context: context)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        let message = "the connection was given up before the greeting"
        self.fail(ClientError(.connectionLost, message), context: context)
    }

    private func arm(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        self.timer = context.eventLoop.scheduleTask(in: self.timeout) {
            let (handler, context) = bound.value
            let message = "no greeting within the connect timeout"
            handler.fail(ClientError(.timeout, message), context: context)
        }
    }

    private func greet(_ context: ChannelHandlerContext) {
        guard case .waiting = self.state else { return }
        self.state = .greeting(owedCount: Self.replyCount)
        var bytes = ByteBuffer()
        RESPCommandEncoder.begin(argumentCount: self.user == nil ? 2 : 5, into: &bytes)
        RESPCommandEncoder.argument("HELLO", into: &bytes)
        RESPCommandEncoder.argument("3", into: &bytes)
        if let user = self.user {
            RESPCommandEncoder.argument("AUTH", into: &bytes)
            RESPCommandEncoder.argument(user.name.utf8, into: &bytes)
            RESPCommandEncoder.argument(user.password.utf8, into: &bytes)
        }
        RESPCommandEncoder.begin(argumentCount: 4, into: &bytes)
        for word in ["CLIENT", "SETINFO", "LIB-NAME", "prustdb-swift"] as [StaticString] {
            RESPCommandEncoder.argument(word, into: &bytes)
        }
        context.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil)
    }

    private func received(_ reply: RESPValue, context: ChannelHandlerContext) {
        if case .push = reply { return }
        switch self.state {
        case .done:
            return
        case .waiting:
            let message = "the server spoke before it was greeted"
            self.fail(ClientError(.protocolViolation, message), context: context)
        case .greeting(let owedCount):
            if owedCount == Self.replyCount, case .error(let text) = reply {
                return self.fail(ReplyReader.error(String(buffer: text)), context: context)
            }
            guard owedCount == 1 else {
                self.state = .greeting(owedCount: owedCount - 1)
                return
            }
            guard !self.parser.isInsideReply else {
                let message = "the server sent more than the greeting's replies"
                return self.fail(ClientError(.protocolViolation, message), context: context)
            }
            self.state = .done
            self.timer?.cancel()
            let promise = self.promise
            context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
            promise.succeed()
        }
    }

    private func fail(_ error: ClientError, context: ChannelHandlerContext) {
        if case .done = self.state { return }
        self.state = .done
        self.timer?.cancel()
        self.promise.fail(error)
        context.close(promise: nil)
    }
}
