import NIOCore
import NIOHTTP1
import PrustCore

/// Serves one HTTP/1.1 connection: gathers a bounded request, asks for its answer, writes it.
///
/// NIO's pipelining handler stands before it, so that one request at a time arrives. A request
/// must be complete within `requestTimeout` of its first byte, its answer must be made within
/// `answerTimeout`, and the next one must begin within `idleTimeout`; all three close the
/// connection.
final class HTTPServiceHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    struct Configuration: Sendable {
        var bodyByteCountMax: Int
        var requestTimeout = TimeAmount.seconds(30)
        /// How long an answer may be in the making.
        ///
        /// There are few connections, and one whose answer
        /// never comes would be in the way of all others for good. Clients give up sooner.
        var answerTimeout = TimeAmount.minutes(5)
        var idleTimeout = TimeAmount.seconds(75)
        /// How long a refused request is read on, so that its sender sees the answer before the
        /// system resets the connection for the bytes that nobody read.
        var lingerTimeout = TimeAmount.seconds(2)
    }

    private enum State {
        case idle
        case gathering(HTTPRequestHead, ByteBuffer)
        /// The answer is being made, or was made early and the rest of the request is dropped.
        case answering
        case closing
    }

    private let configuration: Configuration
    private let respond: @Sendable (AdminRequest) async -> AdminResponse
    private var state = State.idle
    private var timer: Scheduled<Void>?
    /// The client sends nothing more: the present answer is the last.
    private var hasInputEnded = false

    init(
        configuration: Configuration,
        respond: @escaping @Sendable (AdminRequest) async -> AdminResponse
    ) {
        self.configuration = configuration
        self.respond = respond
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.setTimer(self.configuration.requestTimeout, context: context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.state = .closing
        self.timer?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (self.unwrapInboundIn(data), self.state) {
        case (.head(let head), .idle):
            self.setTimer(self.configuration.requestTimeout, context: context)
            self.begin(head, context: context)
        case (.body(let part), .gathering(let head, var body)):
            guard part.readableBytes <= self.configuration.bodyByteCountMax - body.readableBytes
            else { return self.refuse(.bodyTooLarge, head, context: context) }
            // Without this the buffer would be copied for every part.
            self.state = .answering
            body.writeImmutableBuffer(part)
            self.state = .gathering(head, body)
        case (.end, .gathering(let head, let body)):
            self.answer(head, body, context: context)
        case (.head, _), (.body, _), (.end, _):
            break
        }
    }

    private func begin(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
        let announced = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
        guard announced <= self.configuration.bodyByteCountMax else {
            return self.refuse(.bodyTooLarge, head, context: context)
        }
        // RFC 9110, section 10.1.1: an HTTP/1.0 client does not know the answer.
        if head.version == .http1_1,
            head.headers[canonicalForm: "expect"].contains(where: {
                $0.lowercased() == "100-continue"
            })
        {
            let part = HTTPResponseHead(version: .http1_1, status: .continue)
            context.writeAndFlush(self.wrapOutboundOut(.head(part)), promise: nil)
        }
        self.state = .gathering(head, context.channel.allocator.buffer(capacity: 0))
    }

    private func answer(
        _ head: HTTPRequestHead,
        _ body: ByteBuffer,
        context: ChannelHandlerContext
    ) {
        self.state = .answering
        self.setTimer(self.configuration.answerTimeout, context: context)
        let path = head.uri.prefix { $0 != "?" && $0 != "#" }
        let request = AdminRequest(
            method: head.method.rawValue,
            path: String(path),
            body: Array(body.readableBytesView)
        )
        let respond = self.respond
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.makeFutureWithTask { await respond(request) }
            .whenSuccess { response in
                let (handler, context) = bound.value
                guard case .answering = handler.state else { return }
                let isLast = !head.isKeepAlive || handler.hasInputEnded
                let end = handler.write(response, for: head, isLast: isLast, context: context)
                if isLast { end.whenComplete { _ in bound.value.1.close(promise: nil) } }
            }
    }

    /// Answers before the request is complete; the rest of it is not read.
    private func refuse(
        _ fault: AdminFault,
        _ head: HTTPRequestHead,
        context: ChannelHandlerContext
    ) {
        let end = self.write(AdminResponse(fault), for: head, isLast: true, context: context)
        self.setTimer(self.configuration.lingerTimeout, context: context)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        end.whenSuccess { bound.value.close(mode: .output, promise: nil) }
    }

    private func write(
        _ response: AdminResponse,
        for request: HTTPRequestHead,
        isLast: Bool,
        context: ChannelHandlerContext
    ) -> EventLoopFuture<Void> {
        let status = HTTPResponseStatus(statusCode: response.status)
        var head = HTTPResponseHead(version: .http1_1, status: status)
        head.headers.add(name: "Content-Type", value: response.contentType)
        head.headers.add(name: "Content-Length", value: "\(response.body.count)")
        head.headers.add(name: "Cache-Control", value: "no-store")
        head.headers.add(name: "X-Content-Type-Options", value: "nosniff")
        if isLast { head.headers.add(name: "Connection", value: "close") }
        if !response.allow.isEmpty {
            head.headers.add(name: "Allow", value: response.allow.joined(separator: ", "))
        }
        // The pipelining handler delivers the next request while the end of this answer is written.
        self.state = isLast ? .closing : .idle
        // A client that does not read its answer is not waited for.
        let delay = isLast ? self.configuration.requestTimeout : self.configuration.idleTimeout
        self.setTimer(delay, context: context)
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            let body = context.channel.allocator.buffer(bytes: response.body)
            context.write(self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        return context.writeAndFlush(self.wrapOutboundOut(.end(nil)))
    }

    private func setTimer(_ delay: TimeAmount, context: ChannelHandlerContext) {
        self.timer?.cancel()
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        self.timer = context.eventLoop.scheduleTask(in: delay) {
            bound.value.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            switch self.state {
            case .answering: self.hasInputEnded = true
            case .idle, .gathering, .closing: context.close(promise: nil)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // What is not HTTP was answered with 400 by NIO's error handler.
        self.state = .closing
        context.close(promise: nil)
    }
}
