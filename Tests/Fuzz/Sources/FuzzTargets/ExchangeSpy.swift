import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1

/// One answer that went out.
struct Exchange: Sendable {
    /// `nil` when it answers bytes that were no request.
    var request: HTTPRequestHead?
    var head: HTTPResponseHead
    var body: [UInt8] = []
    var isEnded = false
}

/// What an ``ExchangeSpy`` has seen, for whoever waits outside the event loop.
final class ExchangeState: Sendable {
    private struct State: Sendable {
        var request: HTTPRequestHead?
        var isAnswered = false
        var isAnswerDue = false
        var exchanges: [Exchange] = []
    }

    private let state = NIOLockedValueBox(State())

    /// A request is complete and its answer is not.
    var isAnswerDue: Bool { self.state.withLockedValue { $0.isAnswerDue } }

    var exchanges: [Exchange] { self.state.withLockedValue { $0.exchanges } }

    func saw(_ part: HTTPServerRequestPart) {
        self.state.withLockedValue { state in
            switch part {
            case .head(let head):
                state.request = head
                state.isAnswered = false
            case .body: break
            case .end: state.isAnswerDue = !state.isAnswered
            }
        }
    }

    func saw(_ part: HTTPServerResponsePart) {
        self.state.withLockedValue { state in
            switch part {
            case .head(let head):
                // Only says that the body may come.
                guard head.status != .continue else { return }
                state.exchanges.append(Exchange(request: state.request, head: head))
            case .body(.byteBuffer(let bytes)):
                let last = state.exchanges.count - 1
                check(last >= 0 && !state.exchanges[last].isEnded, "a body without a head")
                state.exchanges[last].body += bytes.readableBytesView
            case .body(.fileRegion): check(false, "a file as an answer")
            case .end:
                let last = state.exchanges.count - 1
                check(last >= 0 && !state.exchanges[last].isEnded, "an end without a head")
                state.exchanges[last].isEnded = true
                state.isAnswered = true
                state.isAnswerDue = false
                state.request = nil
            }
        }
    }
}

/// Stands between NIO's HTTP handlers and the service, and takes down what passes.
final class ExchangeSpy: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let state: ExchangeState

    init(_ state: ExchangeState) {
        self.state = state
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.state.saw(self.unwrapInboundIn(data))
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        self.state.saw(self.unwrapOutboundIn(data))
        context.write(data, promise: promise)
    }
}
