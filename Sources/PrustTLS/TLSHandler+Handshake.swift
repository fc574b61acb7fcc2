internal import NIOCore
internal import PrustCore

extension TLSHandler {
    /// Starts the handshake as soon as the channel is active.
    func start(_ context: ChannelHandlerContext) {
        guard case .idle = self.state else { return }
        self.state = .handshaking
        self.observer?.handshakeStarted()
        do throws(TLSError) {
            let connection = try TLSConnection(
                context: self.context,
                expectation: self.expectation,
                rekeyRecordCount: self.settings.rekeyRecordCount
            )
            self.connection = connection
        } catch {
            self.fail(error, context)
            return
        }
        let timeout = self.settings.handshakeTimeout
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            self.handshakeTimedOut(context)
        }
        if !self.context.isServer {
            var nothing = ByteBuffer()
            self.advanceHandshake(&nothing, context)
        }
        // Until it is complete the handshake needs the peer's bytes, whoever asks for them.
        if case .handshaking = self.state { context.read() }
    }

    private func handshakeTimedOut(_ context: ChannelHandlerContext) {
        guard case .handshaking = self.state else { return }
        let milliseconds = self.settings.handshakeTimeout.nanoseconds / 1_000_000
        self.fail(
            TLSError(
                .handshakeTimedOut,
                "handshake failed: timed out: not complete after \(milliseconds) ms"
            ),
            context
        )
    }

    /// Gives the peer's bytes to the handshake; what comes after its end stays in `input`.
    func advanceHandshake(_ input: inout ByteBuffer, _ context: ChannelHandlerContext) {
        guard let connection = self.connection else { return }
        if self.handshakeByteCount == 0, let plain = PlainText(input) {
            self.refuse(plain, context)
            return
        }
        let room = self.settings.handshakeByteCountMax - self.handshakeByteCount
        let readable = input.readableBytes
        var output = self.takeOutput()
        let progress = connection.handshake(
            &input,
            byteCountMax: room,
            output: &output
        )
        self.output = output
        self.handshakeByteCount += readable - input.readableBytes
        switch progress {
        case .completed:
            self.complete(connection, context)
        case .wantsInput:
            if input.readableBytes > 0 {
                self.fail(
                    TLSError(
                        .handshakeTooLarge,
                        "handshake failed: too large: the peer sent more than "
                            + "\(self.settings.handshakeByteCountMax) bytes"
                    ),
                    context
                )
            } else {
                // The promise of early writes must wait for them.
                self.sendAlone(context)
            }
        case .ended, .failed:
            self.fail(connection.takeError(isHandshake: true), context)
        }
    }

    private func complete(_ connection: TLSConnection, _ context: ChannelHandlerContext) {
        self.state = .open
        self.timer?.cancel()
        self.timer = nil
        let isResumed = connection.isResumed
        self.observer?.handshakeCompleted(resumed: isResumed)
        let early = self.earlyWrites
        self.earlyWrites = ByteBuffer()
        self.encrypt(early, context)
        // What only waits for its flush goes with the handshake's last bytes: one write.
        self.mustFlush = false
        self.sendOutput(context)
        guard case .open = self.state else { return }
        let event = TLSHandshakeCompleted(
            applicationProtocol: connection.applicationProtocol,
            peer: connection.peer,
            isResumed: isResumed
        )
        context.fireUserInboundEventTriggered(event)
    }

    private func refuse(_ plain: PlainText, _ context: ChannelHandlerContext) {
        let side = self.context.isServer ? "first" : "server's first"
        if self.context.isServer, self.settings.answersPlainText, let answer = plain.answer {
            self.output = ByteBuffer(string: answer)
        }
        self.fail(
            TLSError(.notTLS, "not TLS: the \(side) bytes look like \(plain.name)"),
            context
        )
    }
}
