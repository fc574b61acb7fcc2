import NIOCore
import NIOHTTP1
import PrustTLS

/// Sends one request over a fresh connection and gathers its answer.
final class AdminExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let request: AdminRequest
    private let host: String
    private let isOverTLS: Bool
    private let timeout: TimeAmount
    private let promise: EventLoopPromise<AdminResponse>
    private var isSent = false
    private var isDone = false
    private var response: AdminResponse?
    private var timer: Scheduled<Void>?

    init(
        request: AdminRequest,
        host: String,
        isOverTLS: Bool,
        timeout: TimeAmount,
        promise: EventLoopPromise<AdminResponse>
    ) {
        self.request = request
        self.host = host
        self.isOverTLS = isOverTLS
        self.timeout = timeout
        self.promise = promise
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        self.timer = context.eventLoop.scheduleTask(in: self.timeout) {
            let (handler, context) = bound.value
            handler.fail("no answer in time", context: context)
        }
        if context.channel.isActive, !self.isOverTLS { self.send(context: context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.fail("the connection was closed", context: context)
    }

    func channelActive(context: ChannelHandlerContext) {
        if !self.isOverTLS { self.send(context: context) }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is TLSHandshakeCompleted { self.send(context: context) }
        context.fireUserInboundEventTriggered(event)
    }

    private func send(context: ChannelHandlerContext) {
        guard !self.isSent, !self.isDone else { return }
        self.isSent = true
        var head = HTTPRequestHead(
            version: .http1_1,
            method: HTTPMethod(rawValue: self.request.method),
            uri: self.request.path
        )
        head.headers.add(name: "Host", value: self.host)
        head.headers.add(name: "Connection", value: "close")
        head.headers.add(name: "Content-Length", value: "\(self.request.body.count)")
        if !self.request.body.isEmpty {
            head.headers.add(name: "Content-Type", value: AdminResponse.jsonType)
        }
        context.write(self.wrapOutboundOut(.head(head)), promise: nil)
        let body = context.channel.allocator.buffer(bytes: self.request.body)
        context.write(self.wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head):
            guard head.status.code >= 200 else { return }
            self.response = AdminResponse(status: Int(head.status.code), body: [])
        case .body(let part):
            let count = self.response?.body.count ?? 0
            guard part.readableBytes <= AdminClient.responseByteCountMax - count else {
                return self.fail("the answer is too large", context: context)
            }
            self.response?.body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let response = self.response, !self.isDone else { return }
            self.isDone = true
            self.timer?.cancel()
            self.promise.succeed(response)
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.fail("the node closed the connection without an answer", context: context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? TLSError else {
            return self.fail("\(error)", context: context)
        }
        // A node that refuses the certificate says so after our half of the handshake.
        let isRefused = error.code == .refusedByPeer
        self.fail(error.message, kind: isRefused ? .notAllowed : nil, context: context)
    }

    private func fail(
        _ message: String,
        kind: AdminClient.Failure.Kind? = nil,
        context: ChannelHandlerContext
    ) {
        guard !self.isDone else { return }
        self.isDone = true
        self.timer?.cancel()
        let isUnknown = self.isSent && self.request.method != "GET"
        let failure = AdminClient.Failure(
            kind ?? (isUnknown ? .unknownOutcome : .cannotReach),
            isUnknown && kind == nil ? "\(message): it may have been done or not" : message
        )
        self.promise.fail(failure)
        context.close(promise: nil)
    }
}
