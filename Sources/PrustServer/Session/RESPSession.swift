import NIOCore
import PrustCore
import PrustStorage
import PrustTLS
import PrustTelemetry
import PrustWire

/// One client's connection: reads commands, runs them in order, sends their replies in order.
///
/// A reply leaves when the log has made durable what it depends on, and so have the replies
/// before it. While a command waits for the disk, while the client does not read, or while the
/// log is too far behind, nothing more is read: the network holds the client back.
final class RESPSession: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A finished reply that waits for the log.
    struct Held {
        /// The newest record that this reply or one before it depends on.
        var dependsOn: UInt64
        /// The newest record that this reply itself depends on.
        var own: UInt64
        /// Where the reply ends in ``out``.
        var end: Int
        var startedAt: MonotonicInstant
        var command: Command
        var isWrite: Bool
        /// It wrote several records, of which some may be durable when others are lost.
        var mayBePartial = false
        /// The client asked for no reply.
        var isSilent: Bool
    }

    enum Phase {
        case running
        /// A command waits for a disk thread or for a password to be checked.
        case suspended
        /// The connection ends when all replies are out.
        case closing
        case closed
    }

    let loop: LoopState
    let id: Int64
    let address: String
    let certificate: PeerCertificate?
    var context: ChannelHandlerContext?
    var principal: Principal?
    var accessGeneration = -1
    var version = RESPVersion.resp2
    var clientName = ""
    var libraryName = ""
    var libraryVersion = ""
    var repliesMode = RepliesMode.on
    var level = "strong"
    var phase = Phase.running
    private(set) var lastActivity: MonotonicInstant
    private let connectedAt: MonotonicInstant
    /// The client has ended its side: the connection ends with the last reply.
    private var hasInputEnded = false
    /// What the channel had still to send, and since when it has not moved.
    private(set) var unsentByteCount = 0
    private var stalledSince: MonotonicInstant?

    private var input = ByteBuffer()
    private var parser: RequestParser
    private var hasCommand = false
    private var commandByteCount = 0
    var out = ByteBuffer()
    /// Up to here replies may leave.
    var readyEnd = 0
    var held = CircularBuffer<Held>()
    private var isWaitingForLog = false
    private var wantsRead = false
    private var isPausedForOutput = false
    /// What the channel said last; asking it costs more than a command.
    private var isWritable = true
    var startedAt = MonotonicInstant(nanoseconds: 0)

    /// CLIENT REPLY ON, OFF or SKIP.
    enum RepliesMode {
        case on
        case off
        case skipNext
        case skipThis
    }

    init(loop: LoopState, address: String, certificate: PeerCertificate?) {
        self.loop = loop
        self.address = address
        self.certificate = certificate
        self.id = loop.services.nextConnectionID()
        self.parser = RequestParser(argumentCountMax: loop.services.limits.argumentCountMax)
        self.lastActivity = Clocks.monotonic()
        self.connectedAt = self.lastActivity
    }

    // MARK: Events of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.loop.add(self)
        self.logInWithCertificate()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.end()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.end()
        context.fireChannelInactive()
    }

    private func end() {
        self.phase = .closed
        self.context = nil
        self.loop.remove(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // TLS reports and counts its errors itself; the connection is over either way.
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent {
            self.hasInputEnded = true
            self.goOn()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = self.unwrapInboundIn(data)
        self.loop.services.metrics.connection.bytesReceived.add(
            UInt64(bytes.readableBytes),
            shard: self.loop.index
        )
        if self.input.readableBytes == 0 {
            self.input = bytes
        } else {
            self.input.writeBuffer(&bytes)
        }
        self.process()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if self.needsFlush { self.loop.scheduleSend(self) }
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.isWritable = context.channel.isWritable
        if self.isWritable, self.isPausedForOutput {
            self.isPausedForOutput = false
            // Not at once: a client that reads quickly would keep the loop from all others.
            let state = NIOLoopBound(self, eventLoop: context.eventLoop)
            context.eventLoop.execute { state.value.goOn() }
        }
        context.fireChannelWritabilityChanged()
    }

    /// Lets the channel read only while commands can run.
    func read(context: ChannelHandlerContext) {
        if self.mayRead { context.read() } else { self.wantsRead = true }
    }

    private var mayRead: Bool {
        guard case .running = self.phase else { return false }
        return !self.isPausedForOutput && !self.isWaitingForRoom
    }

    /// True while the log's queue or this client's held replies are full.
    private var isWaitingForRoom = false

    // MARK: Running commands

    /// Goes on after whatever kept commands from running.
    func goOn() {
        self.process()
        self.flush()
        if self.wantsRead, self.mayRead, let context = self.context {
            self.wantsRead = false
            context.read()
        }
    }

    private func process() {
        self.runCommands()
        if self.hasInputEnded, self.mayRead { self.phase = .closing }
    }

    private func runCommands() {
        guard case .running = self.phase, self.input.readableBytes > 0, self.mayRead else {
            return
        }
        self.startedAt = Clocks.monotonic()
        let executor = self.loop.executor
        executor.wall = Clocks.wall()
        executor.version = self.version
        swap(&executor.out, &self.out)
        let durable = self.loop.services.engine.durable
        self.refreshAccess()
        var didWrite = false
        while case .running = self.phase, self.input.readableBytes > 0, self.checkRoom() {
            guard self.step(executor, durable: durable) else { break }
            didWrite = didWrite || executor.didWrite
        }
        didWrite = didWrite || executor.didWrite
        self.recordTally()
        swap(&executor.out, &self.out)
        self.compactInput()
        if didWrite { self.loop.scheduleFlush() }
    }

    /// Forgets what was read when it begins to outweigh what was not.
    private func compactInput() {
        // The memory belongs to whoever delivered the bytes: it is theirs again.
        if self.input.readableBytes == 0 {
            self.input = ByteBuffer()
            return
        }
        if self.input.readerIndex > 64 * 1024, self.input.readerIndex > self.input.readableBytes {
            self.input.discardReadBytes()
        }
    }

    /// Reads and runs one command; false if nothing more can run at present.
    private func step(_ executor: CommandExecutor, durable: UInt64) -> Bool {
        if !self.hasCommand {
            let trust: RequestParser.Trust = self.principal == nil ? .untrusted : .trusted
            let result = self.input.withUnsafeReadableBytes { bytes in
                self.parser.next(bytes, trust: trust)
            }
            switch result {
            case .needsMore:
                return false
            case .failed(let text):
                self.failProtocol(executor, text)
                return false
            case .command(let byteCount):
                self.commandByteCount = byteCount
                if self.parser.places.isEmpty {
                    self.input.moveReaderIndex(forwardBy: byteCount)
                    return true
                }
                self.hasCommand = true
                executor.begin()
            }
        } else {
            executor.resume(self.suspension)
            if self.failIfLost(executor) {
                self.finish(executor, durable: durable)
                self.consumeCommand()
                return true
            }
        }
        guard self.run(executor, durable: durable) else { return false }
        self.consumeCommand()
        return true
    }

    /// Ends a command that goes on after a wait if what it did before was lost meanwhile.
    func failIfLost(_ executor: CommandExecutor) -> Bool {
        let dependsOn = executor.dependsOn
        let failures = self.loop.services.engine.failures(after: 0)
        guard
            let failure = failures.last(where: { $0.after < dependsOn && dependsOn <= $0.through })
        else { return false }
        var outcome = executor.didWrite ? failure.outcome : .notApplied
        if executor.writeCount > 1 { outcome = .unknown }
        _ = executor.fail("\(outcome.rawValue) \(failure.reason)")
        executor.dependsOn = 0
        return true
    }

    /// Steps over the command that has been answered.
    func consumeCommand() {
        self.hasCommand = false
        self.lastActivity = self.startedAt
        self.input.moveReaderIndex(forwardBy: self.commandByteCount)
    }

    /// What a command that waits must remember.
    var suspension = CommandExecutor.Suspension()

    private func run(_ executor: CommandExecutor, durable: UInt64) -> Bool {
        let isInScratch = self.parser.isInScratch
        return self.parser.places.withUnsafeBufferPointer { places in
            if isInScratch {
                return self.parser.scratch.withUnsafeBytes { bytes in
                    self.dispatch(executor, bytes, places, durable: durable)
                }
            }
            return self.input.withUnsafeReadableBytes { bytes in
                self.dispatch(executor, bytes, places, durable: durable)
            }
        }
    }

    private func dispatch(
        _ executor: CommandExecutor,
        _ bytes: UnsafeRawBufferPointer,
        _ places: UnsafeBufferPointer<RequestArguments.Place>,
        durable: UInt64
    ) -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { empty in
            let base = bytes.baseAddress ?? UnsafeRawPointer(empty.baseAddress)
            guard let base else { return false }
            let arguments = RequestArguments(base: base, places: places)
            let disposition = self.execute(arguments, executor)
            switch disposition {
            case .done:
                self.finish(executor, durable: durable)
                return true
            case .cold, .deferred:
                self.suspension = executor.suspend()
                self.suspend(executor)
                return false
            }
        }
    }

    var command = Command.ping

    /// Decides whether the reply that was just written may leave.
    func finish(_ executor: CommandExecutor, durable: UInt64) {
        if executor.isTorn {
            _ = executor.fail("UNKNOWN the log was opened again while the command ran")
        }
        self.countReply(executor)
        let isSilent = self.applyRepliesMode(executor)
        if self.held.isEmpty, executor.dependsOn <= durable {
            self.readyEnd = executor.out.writerIndex
            self.loop.tally.addReady()
            return
        }
        let dependsOn = max(executor.dependsOn, self.held.last?.dependsOn ?? 0)
        self.held.append(
            Held(
                dependsOn: dependsOn,
                own: executor.dependsOn,
                end: executor.out.writerIndex,
                startedAt: self.startedAt,
                command: self.command,
                isWrite: executor.didWrite,
                mayBePartial: executor.writeCount > 1,
                isSilent: isSilent
            )
        )
        self.waitForLog()
    }

    private func countReply(_ executor: CommandExecutor) {
        let first: UInt8? = executor.out.getInteger(at: executor.replyStart)
        if self.loop.tally.isOfOther(than: self.command) { self.recordTally() }
        self.loop.tally.add(self.command, isError: first == UInt8(ascii: "-"))
    }

    /// Gives what was counted of this session's replies to the metrics.
    func recordTally() {
        self.loop.tally.record(
            in: self.loop.services.metrics,
            since: self.startedAt,
            loop: self.loop.index
        )
    }

    /// Takes the reply away if the client asked for none.
    private func applyRepliesMode(_ executor: CommandExecutor) -> Bool {
        switch self.repliesMode {
        case .on: return false
        case .skipNext:
            self.repliesMode = .skipThis
            executor.out.moveWriterIndex(to: executor.replyStart)
        case .off: executor.out.moveWriterIndex(to: executor.replyStart)
        case .skipThis:
            executor.out.moveWriterIndex(to: executor.replyStart)
            self.repliesMode = .on
        }
        return true
    }

    private func failProtocol(_ executor: CommandExecutor, _ text: String) {
        self.loop.services.metrics.connection.protocolErrors.add()
        executor.begin()
        let bytes = "ERR \(text)".unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        executor.out.writeReplyError(bytes)
        if let last = self.held.last {
            var reply = last
            reply.end = executor.out.writerIndex
            reply.isWrite = false
            reply.mayBePartial = false
            reply.own = 0
            reply.isSilent = false
            self.held.append(reply)
        } else {
            self.readyEnd = executor.out.writerIndex
        }
        self.input.clear()
        self.phase = .closing
    }

    // MARK: Replies

    private func waitForLog() {
        guard !self.isWaitingForLog else { return }
        self.isWaitingForLog = true
        self.loop.wait(self)
    }

    /// False if the client must wait for the log, or for itself to read, before it goes on.
    private func checkRoom() -> Bool {
        // A command that goes on after a wait must come to its end: what it has written of its
        // reply can leave only then.
        if self.hasCommand { return true }
        let services = self.loop.services
        if services.engine.isCongested || self.held.count >= services.limits.pipelineCountMax {
            if !self.isWaitingForRoom { services.metrics.connection.congestionPauses.add() }
            self.isWaitingForRoom = true
            self.waitForLog()
            return false
        }
        let pending = self.loop.executor.out.readableBytes
        if !self.isWritable
            || (self.held.isEmpty && pending >= Self.outputPauseByteCount)
        {
            self.isPausedForOutput = true
            services.metrics.connection.outputPauses.add(1, shard: self.loop.index)
            return false
        }
        if pending >= services.limits.outputByteCountMax {
            self.isWaitingForRoom = true
            self.waitForLog()
            return false
        }
        return true
    }

    /// A buffer of replies that grew beyond this is not kept.
    private static let keptByteCountMax = 32 * 1024
    /// Replies that may gather before they are handed to the channel.
    private static let outputPauseByteCount = 256 * 1024

    func logMoved(durable: UInt64) {
        self.isWaitingForLog = false
        self.isWaitingForRoom = false
        guard self.context != nil else { return }
        self.release(durable: durable)
        if !self.held.isEmpty { self.waitForLog() }
        self.goOn()
    }

    /// False while there is nothing to send, go on with or close.
    private var needsFlush: Bool {
        if self.readyEnd > self.out.readerIndex || self.isPausedForOutput { return true }
        if case .closing = self.phase { return true }
        return false
    }

    /// Hands ready replies to the channel.
    func flush() {
        guard let context = self.context else { return }
        if self.readyEnd > self.out.readerIndex {
            let byteCount = self.readyEnd - self.out.readerIndex
            self.loop.services.metrics.connection.bytesSent.add(
                UInt64(byteCount),
                shard: self.loop.index
            )
            if self.readyEnd == self.out.writerIndex, self.held.isEmpty {
                // Held replies know their places in the buffer, even when they have no bytes.
                // Writing may call back into this session: it must find nothing to send again.
                let sent = self.out
                self.out = ByteBuffer()
                self.readyEnd = 0
                context.writeAndFlush(self.wrapOutboundOut(sent), promise: nil)
                self.reuse(sent)
            } else if let slice = self.out.readSlice(length: byteCount) {
                self.reclaimOutput()
                context.writeAndFlush(self.wrapOutboundOut(slice), promise: nil)
            }
        }
        if self.isPausedForOutput, self.isWritable {
            self.isPausedForOutput = false
            let state = NIOLoopBound(self, eventLoop: context.eventLoop)
            context.eventLoop.execute { state.value.goOn() }
        }
        if case .closing = self.phase, self.held.isEmpty {
            self.phase = .closed
            self.closeOnceSent(context)
        }
    }

    /// Time that a client has to take its last replies before the connection is cut.
    private static let lingerTime = TimeAmount.seconds(5)

    /// Closes when the channel has written everything, or the client takes too long over it.
    private func closeOnceSent(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let sent = context.eventLoop.makePromise(of: Void.self)
        let cut = context.eventLoop.scheduleTask(in: Self.lingerTime) {
            bound.value.close(promise: nil)
        }
        sent.futureResult.whenComplete { _ in
            cut.cancel()
            bound.value.close(promise: nil)
        }
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer()), promise: sent)
    }

    /// Takes the memory of replies that are sent again, if it is small and nothing came meanwhile.
    private func reuse(_ sent: consuming ByteBuffer) {
        guard sent.capacity <= Self.keptByteCountMax, self.out.capacity == 0 else { return }
        sent.clear()
        self.out = sent
    }

    /// Drops sent bytes from the front once they are many, which moves every place in the buffer.
    private func reclaimOutput() {
        let shift = self.out.readerIndex
        guard shift > 64 * 1024, !self.hasPartialReply else { return }
        self.out.discardReadBytes()
        self.readyEnd -= shift
        for index in self.held.indices { self.held[index].end -= shift }
    }

    /// A suspended command may have written a part of its reply already.
    private var hasPartialReply: Bool { self.hasCommand }

    /// Ends the connection once all replies are out.
    func close() {
        if case .running = self.phase { self.phase = .closing }
        self.flush()
    }

    func drain() {
        switch self.phase {
        case .running: self.close()
        case .suspended: self.isDraining = true
        case .closing, .closed: break
        }
    }

    private(set) var isDraining = false

    /// Ends a connection that does nothing, or whose client does not log in or read its replies.
    ///
    /// Called every second or so.
    func closeIfIdle(now: MonotonicInstant, _ limits: SessionServices.Bounds) {
        guard let context = self.context else { return }
        func isOver(_ start: MonotonicInstant, _ timeout: Duration) -> Bool {
            timeout > .zero && start.duration(to: now) >= timeout
        }
        self.noteUnsent(context, now)
        let connection = self.loop.services.metrics.connection
        if let stalled = self.stalledSince, isOver(stalled, limits.stallTimeout) {
            connection.stallCloses.add()
            return self.abort()
        }
        guard case .running = self.phase, self.held.isEmpty else { return }
        if self.principal == nil, isOver(self.connectedAt, limits.loginTimeout) {
            connection.loginCloses.add()
            self.close()
        } else if isOver(self.lastActivity, limits.idleTimeout) {
            connection.idleCloses.add()
            self.close()
        }
    }

    private func noteUnsent(_ context: ChannelHandlerContext, _ now: MonotonicInstant) {
        let option = ChannelOptions.bufferedWritableBytes
        let channel = (try? context.channel.syncOptions?.getOption(option)) ?? 0
        if channel == 0 {
            self.stalledSince = nil
        } else if self.stalledSince == nil || channel != self.unsentByteCount {
            self.stalledSince = now
        }
        self.unsentByteCount = channel
    }

    /// Ends the connection at once; replies that wait are dropped.
    func abort() {
        self.context?.close(promise: nil)
    }
}
