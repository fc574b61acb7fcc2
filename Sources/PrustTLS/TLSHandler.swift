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

    var state = State.idle
    var connection: TLSConnection?
    var timer: Scheduled<Void>?
    var handshakeByteCount = 0
    /// Whether a flush came before the handshake was complete.
    var mustFlush = false

    /// Plaintext that is written but not encrypted.
    var gathered = ByteBuffer()
    /// Plaintext written before the handshake was complete, in front of `gathered`.
    var earlyWrites = ByteBuffer()
    /// Ciphertext that is not yet written below.
    var output = ByteBuffer()
    /// The promise of all that is in `gathered` and `output`; later ones follow it.
    var writePromise: EventLoopPromise<Void>?

    /// Stands for the channel's option where there is none: embedded channels always say yes.
    var readsAutomatically: Bool?

    private var plaintext = ByteBuffer()
    /// Ciphertext that came although nobody asked for more plaintext.
    private var held = ByteBuffer()
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
        observer: (any TLSObserver)? = nil
    ) {
        self.context = context
        self.settings = settings
        self.expectation = expectation ?? .anyServer
        self.observer = observer
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
        guard self.isReadWanted || self.readsItself(context) else {
            self.held.writeBuffer(&input)
            return
        }
        if self.held.readableBytes > 0 {
            self.held.writeBuffer(&input)
            self.release(context)
        } else {
            self.deliver(&input, context)
        }
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
        if self.held.readableBytes > 0 {
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
        guard case .open = self.state, self.held.readableBytes > 0 else { return }
        var input = self.held
        self.held = ByteBuffer()
        self.deliver(&input, context)
    }

    private func deliver(_ input: inout ByteBuffer, _ context: ChannelHandlerContext) {
        guard let connection = self.connection, !self.hasReceivedCloseNotify else { return }
        // Takes the same memory again unless somebody above kept a slice of the last read.
        if self.plaintext.capacity > 0 { self.plaintext.clear() }
        self.reuseOutput()
        let outputCount = self.output.readableBytes
        let progress = connection.decrypt(
            &input,
            into: &self.plaintext,
            output: &self.output
        )
        // The error belongs to this thread, and what is above may use OpenSSL too.
        let error = progress == .failed ? connection.takeError(isHandshake: false) : nil
        if self.plaintext.readableBytes > 0 {
            self.hasFiredRead = true
            let plaintext = self.plaintext
            if plaintext.capacity > Self.keptByteCountMax { self.plaintext = ByteBuffer() }
            context.fireChannelRead(Self.wrapInboundOut(plaintext))
        }
        guard case .open = self.state else { return }
        switch progress {
        case .wantsInput, .completed:
            let answerCount = self.output.readableBytes - outputCount
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
        let gatheredCount = self.gathered.readableBytes
        if count < Self.gatherByteCountMax,
            gatheredCount + count <= TLSConnection.recordByteCountMax
        {
            if gatheredCount == 0, self.gathered.capacity > 0 { self.gathered.clear() }
            self.gathered.writeBuffer(&bytes)
            return
        }
        self.encryptGathered(context)
        if count < Self.gatherByteCountMax {
            if self.gathered.capacity > 0 { self.gathered.clear() }
            self.gathered.writeBuffer(&bytes)
        } else {
            self.encrypt(bytes, context)
        }
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
        guard self.gathered.readableBytes > 0 else { return }
        let bytes = self.gathered
        if bytes.capacity > TLSConnection.recordByteCountMax { self.gathered = ByteBuffer() }
        self.encrypt(bytes, context)
        self.gathered.moveReaderIndex(to: self.gathered.writerIndex)
    }

    func encrypt(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        guard bytes.readableBytes > 0, let connection = self.connection else { return }
        self.reuseOutput()
        if !connection.encrypt(bytes, into: &self.output) {
            self.fail(connection.takeError(isHandshake: false), context)
        }
    }

    /// Writes all ciphertext below at once.
    func sendOutput(_ context: ChannelHandlerContext) {
        let promise = self.writePromise
        guard self.output.readableBytes > 0 || promise != nil else {
            context.flush()
            return
        }
        let output = self.output
        if output.capacity > Self.keptByteCountMax {
            self.output = ByteBuffer()
        } else {
            self.output.moveReaderIndex(to: self.output.writerIndex)
        }
        self.writePromise = nil
        context.writeAndFlush(Self.wrapOutboundOut(output), promise: promise)
    }

    /// Takes the memory of the last output again, when the channel has let go of it.
    func reuseOutput() {
        if self.output.readableBytes == 0, self.output.capacity > 0 { self.output.clear() }
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
        guard !self.hasSentCloseNotify else { return }
        self.encryptGathered(context)
        guard case .open = self.state, let connection = self.connection else { return }
        self.hasSentCloseNotify = true
        connection.shutDown(output: &self.output)
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
        if self.output.readableBytes > 0 {
            context.writeAndFlush(Self.wrapOutboundOut(self.output), promise: nil)
            self.output = ByteBuffer()
        }
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
        self.gathered = ByteBuffer()
        self.earlyWrites = ByteBuffer()
        self.output = ByteBuffer()
        self.held = ByteBuffer()
        let promise = self.writePromise
        self.writePromise = nil
        promise?.fail(error)
    }
}

@available(*, unavailable)
extension TLSHandler: Sendable {}
