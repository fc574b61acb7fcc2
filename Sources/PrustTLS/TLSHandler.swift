package import NIOCore
internal import PrustCore

/// TLS 1.3 for a channel: ciphertext below, plaintext above.
///
/// One channel read becomes one plaintext read. Writes are gathered until the flush, so that small
/// ones share a record, and a flush is one write below. Source of the rules: RFC 8446.
package final class TLSHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    enum State {
        /// The channel is not active yet.
        case idle
        case handshaking
        case open
        /// Failed or closed; whatever still arrives is dropped.
        case closed
    }

    /// A buffer that grew larger than this is not kept for the next read or write.
    static let keptByteCountMax = 4 * 1024
    /// A write of at least this many bytes is encrypted from where it is.
    private static let gatherByteCountMax = 4 * 1024

    /// Bytes of answers to key updates that may wait while the channel is not writable.
    private static let unreadAnswerByteCountMax = 4 * 1024

    let context: TLSContext
    let settings: TLSSettings
    let expectation: TLSPeerExpectation
    let observer: (any TLSObserver)?
    private let grave: ConnectionGrave?

    var state = State.idle
    var connection: TLSConnection?
    var timer: Scheduled<Void>?
    var handshakeByteCount = 0
    /// Whether a flush came before the handshake was complete.
    var mustFlush = false

    // The buffers of the hot path are taken out of the handler while they are worked on, and put
    // back: a look into a property lasts no longer than a load or a store, so the compiler needs
    // no run-time check that two of them do not overlap. `nil` is an empty buffer that costs
    // nothing, where `ByteBuffer()` would count references to one object shared by all threads.

    /// Plaintext that is written but not encrypted.
    var gathered: ByteBuffer?
    /// Ciphertext that is not yet written below.
    var output: ByteBuffer?
    /// Plaintext written before the handshake was complete.
    var earlyWrites = ByteBuffer()
    /// The promise of all that is in `gathered` and `output`; later ones follow it.
    var writePromise: EventLoopPromise<Void>?

    /// Stands for the channel's option where there is none: embedded channels always say yes.
    var readsAutomatically: Bool?

    /// Memory for the next read.
    private var plaintext: ByteBuffer?
    /// Ciphertext that came although nobody asked for more plaintext.
    private var held: ByteBuffer?
    /// Whether a `read()` came from above and no plaintext has answered it.
    private var isReadWanted = false
    private var hasFiredRead = false
    /// Whether reading led to ciphertext that must go out.
    private var mustAnswer = false
    private var unreadAnswerByteCount = 0

    var hasReceivedCloseNotify = false
    private var hasSentCloseNotify = false
    private var hasSeenError = false

    /// Makes one side of one connection; `expectation` is for clients.
    package init(
        context: TLSContext,
        settings: TLSSettings = TLSSettings(),
        expectation: TLSPeerExpectation? = nil,
        observer: (any TLSObserver)? = nil,
        grave: ConnectionGrave? = nil
    ) {
        self.context = context
        self.settings = settings
        self.expectation = expectation ?? .anyServer
        self.observer = observer
        self.grave = grave
    }

    /// Whether the connection goes on with an earlier session; `false` until it is complete.
    package var isResumed: Bool {
        guard case .open = self.state else { return false }
        return self.connection?.isResumed ?? false
    }

    // MARK: The channel's life

    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { self.start(context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.discard(error: ChannelError.ioOnClosedChannel)
        if let connection = self.connection.take() { self.grave?.bury(connection) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        self.start(context)
        context.fireChannelActive()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.release(context)
        switch self.state {
        case .handshaking:
            self.fail(
                TLSError(
                    .handshakeInterrupted,
                    "handshake failed: the peer closed the connection"
                ),
                context
            )
        case .open:
            self.endOfStream(context)
        case .idle, .closed:
            break
        }
        self.discard(error: ChannelError.ioOnClosedChannel)
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.hasSeenError = true
        context.fireErrorCaught(error)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        self.release(context)
        switch self.state {
        case .handshaking:
            self.fail(
                TLSError(
                    .handshakeInterrupted,
                    "handshake failed: the peer closed the connection"
                ),
                context
            )
        case .open:
            self.endOfStream(context)
        case .idle, .closed:
            break
        }
    }

    /// The peer's end of the TCP connection is closed.
    private func endOfStream(_ context: ChannelHandlerContext) {
        guard !self.hasReceivedCloseNotify else { return }
        let error = TLSError(
            .truncated,
            "connection truncated: the peer closed it without close_notify"
        )
        self.fail(error, context, isReported: !self.hasSeenError)
    }

    // MARK: Reading

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var input = Self.unwrapInboundIn(data)
        switch self.state {
        case .open:
            break
        case .handshaking:
            self.advanceHandshake(&input, context)
            guard case .open = self.state, input.readableBytes > 0 else { return }
        case .idle, .closed:
            return
        }
        let isWanted = self.isReadWanted || self.readsItself(context)
        if isWanted, self.held == nil {
            self.deliver(&input, context)
            return
        }
        var held = self.held.take() ?? ByteBuffer()
        held.writeBuffer(&input)
        self.held = held
        if isWanted { self.release(context) }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        if self.mustAnswer {
            self.mustAnswer = false
            self.flush(context: context)
        }
        if self.hasFiredRead {
            self.hasFiredRead = false
            self.isReadWanted = false
            context.fireChannelReadComplete()
        } else if self.isReadWanted || self.state == .handshaking {
            // What came was no plaintext: whoever waits for some must not wait for ever.
            context.read()
        }
    }

    package func read(context: ChannelHandlerContext) {
        if self.held != nil {
            self.release(context)
            if self.hasFiredRead {
                self.hasFiredRead = false
                context.fireChannelReadComplete()
                return
            }
        }
        self.isReadWanted = true
        context.read()
    }

    /// Channels that read by themselves have no need to ask, and some never do.
    private func readsItself(_ context: ChannelHandlerContext) -> Bool {
        if let isAutomatic = self.readsAutomatically { return isAutomatic }
        return (try? context.channel.syncOptions?.getOption(.autoRead)) ?? true
    }

    /// Delivers what was held back.
    private func release(_ context: ChannelHandlerContext) {
        guard case .open = self.state, var input = self.held.take() else { return }
        self.deliver(&input, context)
    }

    private func deliver(_ input: inout ByteBuffer, _ context: ChannelHandlerContext) {
        guard let connection = self.connection, !self.hasReceivedCloseNotify else { return }
        // Takes the same memory again unless somebody above kept a slice of the last read.
        var plaintext = self.plaintext.take() ?? ByteBuffer()
        Self.empty(&plaintext)
        var output = self.takeOutput()
        let outputCount = output.readableBytes
        let progress = connection.decrypt(&input, into: &plaintext, output: &output)
        let answerCount = output.readableBytes - outputCount
        self.output = output
        // The error belongs to this thread, and what is above may use OpenSSL too.
        let error = progress == .failed ? connection.takeError(isHandshake: false) : nil
        if plaintext.readableBytes > 0 {
            self.hasFiredRead = true
            if plaintext.capacity <= Self.keptByteCountMax { self.plaintext = plaintext }
            context.fireChannelRead(NIOAny(plaintext))
        }
        guard case .open = self.state else { return }
        switch progress {
        case .wantsInput, .completed:
            if answerCount > 0 { self.answer(byteCount: answerCount, context) }
        case .ended:
            self.closeNotifyReceived(context)
        case .failed:
            if let error { self.fail(error, context) }
        }
    }

    /// Sees to it that an answer of the TLS layer itself (to a key update) goes out.
    ///
    /// A peer that asks and asks without reading would otherwise fill our memory.
    private func answer(byteCount: Int, _ context: ChannelHandlerContext) {
        self.mustAnswer = true
        self.unreadAnswerByteCount =
            context.channel.isWritable ? 0 : self.unreadAnswerByteCount + byteCount
        if self.unreadAnswerByteCount > Self.unreadAnswerByteCountMax {
            let error = TLSError(
                .protocolViolation,
                "connection failed: the peer asks for key updates and does not read"
            )
            self.fail(error, context)
        }
    }

    private func closeNotifyReceived(_ context: ChannelHandlerContext) {
        self.hasReceivedCloseNotify = true
        let isHalfClosable =
            (try? context.channel.syncOptions?.getOption(.allowRemoteHalfClosure)) ?? false
        if isHalfClosable {
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        } else {
            self.close(context: context, mode: .all, promise: nil)
        }
    }

    // MARK: Writing

    package func write(
        context: ChannelHandlerContext,
        data: NIOAny,
        promise: EventLoopPromise<Void>?
    ) {
        var bytes = Self.unwrapOutboundIn(data)
        guard !self.hasSentCloseNotify, self.state != .closed else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        if let promise { self.follow(promise) }
        let count = bytes.readableBytes
        guard case .open = self.state else {
            self.writeEarly(&bytes, context)
            return
        }
        if count >= Self.gatherByteCountMax {
            self.encryptGathered(context)
            self.encrypt(bytes, context)
            return
        }
        var gathered = self.gathered.take() ?? ByteBuffer()
        if gathered.readableBytes + count > TLSConnection.recordByteCountMax {
            self.encrypt(gathered, context)
            gathered.clear()
        } else if gathered.readableBytes == 0 {
            Self.empty(&gathered)
        }
        gathered.writeBuffer(&bytes)
        self.gathered = gathered
    }

    package func flush(context: ChannelHandlerContext) {
        guard case .open = self.state else {
            self.mustFlush = true
            return
        }
        self.encryptGathered(context)
        self.sendOutput(context)
    }

    /// Lets `promise` have the outcome of all that waits to be sent.
    private func follow(_ promise: EventLoopPromise<Void>) {
        if let first = self.writePromise {
            first.futureResult.cascade(to: promise)
        } else {
            self.writePromise = promise
        }
    }

    private func writeEarly(_ bytes: inout ByteBuffer, _ context: ChannelHandlerContext) {
        let room = self.settings.earlyWriteByteCountMax - self.earlyWrites.readableBytes
        guard bytes.readableBytes <= room else {
            let error = TLSError(
                .earlyWritesTooLarge,
                "handshake failed: more than \(self.settings.earlyWriteByteCountMax) bytes were "
                    + "written before it was complete"
            )
            self.fail(error, context)
            return
        }
        self.earlyWrites.writeBuffer(&bytes)
    }

    func encryptGathered(_ context: ChannelHandlerContext) {
        guard var gathered = self.gathered.take() else { return }
        self.encrypt(gathered, context)
        guard gathered.capacity <= Self.keptByteCountMax, self.state != .closed else { return }
        gathered.moveReaderIndex(to: gathered.writerIndex)
        self.gathered = gathered
    }

    func encrypt(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        guard bytes.readableBytes > 0, let connection = self.connection else { return }
        var output = self.takeOutput()
        let isDone = connection.encrypt(bytes, into: &output)
        self.output = output
        if !isDone { self.fail(connection.takeError(isHandshake: false), context) }
    }

    /// Writes all ciphertext below at once.
    func sendOutput(_ context: ChannelHandlerContext) {
        let promise = self.writePromise
        let output = self.output.take() ?? ByteBuffer()
        guard output.readableBytes > 0 || promise != nil else {
            self.output = output
            context.flush()
            return
        }
        if output.capacity <= Self.keptByteCountMax {
            var kept = output
            kept.moveReaderIndex(to: kept.writerIndex)
            self.output = kept
        }
        self.writePromise = nil
        context.writeAndFlush(NIOAny(output), promise: promise)
    }

    /// Writes ciphertext below that no promise waits for: of a handshake, or an alert.
    func sendAlone(_ context: ChannelHandlerContext) {
        guard let output = self.output.take(), output.readableBytes > 0 else { return }
        context.writeAndFlush(NIOAny(output), promise: nil)
    }

    /// The ciphertext that waits, or the memory of the last when nothing does.
    func takeOutput() -> ByteBuffer {
        guard var output = self.output.take() else { return ByteBuffer() }
        if output.readableBytes == 0 { Self.empty(&output) }
        return output
    }

    /// Makes room again: in the same memory unless somebody else has kept that.
    private static func empty(_ buffer: inout ByteBuffer) {
        if buffer.capacity > 0 { buffer.clear() }
    }

    // MARK: Closing

    package func close(
        context: ChannelHandlerContext,
        mode: CloseMode,
        promise: EventLoopPromise<Void>?
    ) {
        switch (mode, self.state) {
        case (.input, _), (_, .idle), (_, .closed):
            break
        case (.output, .handshaking):
            // The peer could not tell this from an attack, so there is no such end.
            promise?.fail(ChannelError.operationUnsupported)
            return
        case (_, .handshaking):
            self.fail(
                TLSError(
                    .handshakeInterrupted,
                    "handshake failed: this side closed the connection"
                ),
                context,
                isReported: false,
                mustClose: false
            )
        case (.output, .open):
            self.sendCloseNotify(context)
        case (.all, .open):
            self.sendCloseNotify(context)
            self.state = .closed
        }
        context.close(mode: mode, promise: promise)
    }

    /// Sends what was written, then `close_notify`, in one write.
    private func sendCloseNotify(_ context: ChannelHandlerContext) {
        // Nothing can be sent over a connection that has failed, and to try is not cheap.
        guard !self.hasSentCloseNotify, !self.hasSeenError else { return }
        self.encryptGathered(context)
        guard case .open = self.state, let connection = self.connection else { return }
        self.hasSentCloseNotify = true
        var output = self.takeOutput()
        connection.shutDown(output: &output)
        self.output = output
        self.sendOutput(context)
    }

    /// Ends the connection with an error; the alert, if there is one, goes out first.
    func fail(
        _ error: TLSError,
        _ context: ChannelHandlerContext,
        isReported: Bool = true,
        mustClose: Bool = true
    ) {
        let wasHandshaking = self.state == .handshaking
        guard wasHandshaking || self.state == .open || self.state == .idle else { return }
        self.state = .closed
        self.sendAlone(context)
        if wasHandshaking {
            self.connection?.forgetOfferedSession()
            self.observer?.handshakeFailed(code: error.code)
        }
        self.discard(error: error)
        if isReported { context.fireErrorCaught(error) }
        if mustClose { context.close(promise: nil) }
    }

    /// Forgets all that waits.
    private func discard(error: any Error) {
        self.state = .closed
        self.timer?.cancel()
        self.timer = nil
        self.gathered = nil
        self.earlyWrites = ByteBuffer()
        self.output = nil
        self.held = nil
        let promise = self.writePromise
        self.writePromise = nil
        promise?.fail(error)
    }
}

@available(*, unavailable)
extension TLSHandler: Sendable {}
