import NIOCore
import NIOEmbedded
import PrustTLS
import Synchronization
import Testing

/// Notes all that comes out of a pipeline's end.
final class Recorder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    var received: [ByteBuffer] = []
    var byteCount = 0
    var readCompleteCount = 0
    var completed: [TLSHandshakeCompleted] = []
    var errors: [TLSError] = []
    var otherErrorCount = 0
    var inputClosedCount = 0
    var isInactive = false
    var echoes = false
    var keepsBytes = true
    /// What had happened, in order.
    var trace: [String] = []

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = self.unwrapInboundIn(data)
        self.byteCount += buffer.readableBytes
        self.trace.append("read")
        if self.keepsBytes { self.received.append(buffer) }
        if self.echoes { context.write(NIOAny(buffer), promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.readCompleteCount += 1
        if self.echoes { context.flush() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSHandshakeCompleted {
            self.completed.append(event)
            self.trace.append("completed")
        }
        if let event = event as? ChannelEvent, event == .inputClosed { self.inputClosedCount += 1 }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? TLSError {
            self.errors.append(error)
        } else {
            self.otherErrorCount += 1
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.isInactive = true
    }

    var text: String {
        self.received.map { String(buffer: $0) }.joined()
    }
}

/// Counts what handlers report.
final class CountingObserver: TLSObserver {
    struct Counts: Equatable {
        var started = 0
        var completed = 0
        var resumed = 0
        var failed: [TLSError.Code] = []
    }

    private let state = Mutex(Counts())

    var counts: Counts { self.state.withLock { $0 } }

    func handshakeStarted() { self.state.withLock { $0.started += 1 } }
    func handshakeCompleted(resumed: Bool) {
        self.state.withLock { counts in
            counts.completed += 1
            if resumed { counts.resumed += 1 }
        }
    }
    func handshakeFailed(code: TLSError.Code) { self.state.withLock { $0.failed.append(code) } }
}

/// A transport that can shut down its output alone, which the embedded one cannot.
final class HalfClosing: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .output {
            promise?.succeed()
        } else {
            context.close(mode: mode, promise: promise)
        }
    }
}

/// A client and a server in one thread, with the wire between them in the test's hands.
final class TestPair {
    let loop = EmbeddedEventLoop()
    let client: EmbeddedChannel
    let server: EmbeddedChannel
    let clientEnd = Recorder()
    let serverEnd = Recorder()
    let clientTLS: TLSHandler
    let serverTLS: TLSHandler
    let grave: ConnectionGrave

    /// Bytes that a piece on the wire has at most; 0 leaves buffers as they are.
    var pieceByteCount = 0
    var clientToServerByteCount = 0
    var clientToServerBufferCount = 0
    var serverToClientBufferCount = 0
    /// May change bytes on their way to the server.
    var tamper: (inout ByteBuffer) -> Void = { _ in }

    init(
        client: TLSContext,
        server: TLSContext,
        clientSettings: TLSSettings = .init(),
        serverSettings: TLSSettings = .init(),
        expectation: TLSPeerExpectation? = .init(hostName: "127.0.0.1"),
        observer: CountingObserver? = nil,
        serverBuries: Bool = false
    ) throws {
        self.clientTLS = TLSHandler(
            context: client,
            settings: clientSettings,
            expectation: expectation
        )
        self.grave = ConnectionGrave(eventLoop: self.loop)
        self.serverTLS = TLSHandler(
            context: server,
            settings: serverSettings,
            observer: observer,
            grave: serverBuries ? self.grave : nil
        )
        self.client = EmbeddedChannel(loop: self.loop)
        self.server = EmbeddedChannel(loop: self.loop)
        try self.client.pipeline.syncOperations.addHandlers([
            HalfClosing(), self.clientTLS, self.clientEnd,
        ])
        try self.server.pipeline.syncOperations.addHandlers([
            HalfClosing(), self.serverTLS, self.serverEnd,
        ])
    }

    func connect() throws {
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
        self.server.connect(to: address, promise: nil)
        self.client.connect(to: address, promise: nil)
    }

    /// Connects and lets both sides talk until they have no more to say.
    func run() throws {
        try self.connect()
        try self.pump()
    }

    func pump() throws {
        while try self.pumpOnce() {}
    }

    /// One turn each way; `false` when nothing was on the wire.
    func pumpOnce() throws -> Bool {
        var moved = false
        while var buffer = try self.client.readOutbound(as: ByteBuffer.self) {
            self.clientToServerByteCount += buffer.readableBytes
            self.clientToServerBufferCount += 1
            self.tamper(&buffer)
            try self.carry(buffer, to: self.server)
            moved = true
        }
        while let buffer = try self.server.readOutbound(as: ByteBuffer.self) {
            self.serverToClientBufferCount += 1
            try self.carry(buffer, to: self.client)
            moved = true
        }
        return moved
    }

    private func carry(_ buffer: ByteBuffer, to channel: EmbeddedChannel) throws {
        var buffer = buffer
        while buffer.readableBytes > 0 {
            let count =
                self.pieceByteCount == 0
                ? buffer.readableBytes : min(self.pieceByteCount, buffer.readableBytes)
            guard let piece = buffer.readSlice(length: count), channel.isActive else { return }
            try channel.writeInbound(piece)
        }
    }

    func send(_ text: String, from channel: EmbeddedChannel) {
        channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
    }

    /// Neither side saw an error.
    func expectNoErrors(sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(self.clientEnd.errors.isEmpty, sourceLocation: sourceLocation)
        #expect(self.serverEnd.errors.isEmpty, sourceLocation: sourceLocation)
    }
}
