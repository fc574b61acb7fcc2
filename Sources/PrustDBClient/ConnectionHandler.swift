import NIOCore
import PrustTLS
import PrustWire

/// Sends calls on one channel and gives each its reply, in the order of the wire.
///
/// It runs on the channel's event loop. A call that has ended by its deadline or by cancellation
/// keeps its place until its reply comes, because only the order says whose a reply is. A server
/// that owes any reply past the call's deadline and has sent nothing for the time of `stallTimeout`
/// since that call was sent is taken for dead; a call before it that may take longer changes
/// nothing, because the replies behind it do not come either.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What a handler reports; called on its event loop.
    protocol Owner: AnyObject, Sendable {
        /// Calls left the connection, by a reply or because they had ended before they were sent.
        func finished(_ connection: Connection, count: Int)
        /// The connection takes nothing any more; afterwards `unfinished` gets its calls.
        func lost(_ connection: Connection)
        /// These calls were on it, sent or not.
        func unfinished(_ calls: [Call], error: ClientError)
    }

    private struct Sent {
        let call: Call
        let sentAt: NIODeadline
    }

    /// Bytes that are gathered before they are written; larger commands are written as they are.
    private static let batchByteCountMax = 64 * 1024

    private let owner: any Owner
    private let stallTimeout: TimeAmount
    private var context: ChannelHandlerContext?
    private var connection: Connection?
    private var parser: RESPReplyParser
    private var unsent = Fifo<Call>()
    private var inFlight = Fifo<Sent>()
    private var batch = ByteBuffer()
    private var finishedCount = 0
    private var progressAt = NIODeadline.now()
    private var timer: (at: NIODeadline, task: Scheduled<Void>)?
    private var failure: ClientError?
    private var isDraining = false

    init(owner: any Owner, bounds: RESPReplyParser.Bounds, stallTimeout: TimeAmount) {
        self.owner = owner
        self.parser = RESPReplyParser(bounds: bounds)
        self.stallTimeout = stallTimeout
    }

    /// Joins the handler with its connection, once, before any call.
    func attach(_ connection: Connection) {
        self.connection = connection
        if self.context?.channel.isActive != true { self.end() }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.end()
        self.context = nil
    }

    /// Sends what the connection's outbox holds.
    func wakeUp(_ connection: Connection) {
        for call in connection.takeCalls() {
            self.arm(at: call.deadline)
            self.unsent.append(call)
        }
        self.pump()
        self.report()
    }

    func drain(deadline: NIODeadline) {
        self.isDraining = true
        guard let context = self.context else { return }
        self.closeIfDrained()
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(deadline: deadline) {
            bound.value.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.parser.append(self.unwrapInboundIn(data))
        self.progressAt = .now()
        do {
            while let reply = try self.parser.next() {
                if case .push = reply { continue }
                guard let call = self.inFlight.popFirst()?.call else {
                    let message = "the server sent a reply to no command"
                    return self.fail(ClientError(.protocolViolation, message), context: context)
                }
                self.finishedCount += 1
                call.succeed(reply)
            }
        } catch {
            let message = "the server broke the protocol: \(error)"
            self.fail(ClientError(.protocolViolation, message, cause: error), context: context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.pump()
        self.report()
        self.closeIfDrained()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.pump()
        self.report()
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let lost = ClientError(.connectionLost, "connection lost: \(error)", cause: error)
        self.fail(lost, context: context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.end()
        context.fireChannelInactive()
    }
}

extension ConnectionHandler {
    /// Writes calls while the channel takes them.
    private func pump() {
        guard let context = self.context, self.failure == nil, !self.unsent.isEmpty else { return }
        let now = NIODeadline.now()
        var isWritten = false
        self.batch.clear()
        while context.channel.isWritable, let call = self.unsent.popFirst() {
            guard call.beginSending() else {
                self.finishedCount += 1
                continue
            }
            self.inFlight.append(Sent(call: call, sentAt: now))
            let bytes = call.command.bytes
            if self.batch.readableBytes + bytes.readableBytes > Self.batchByteCountMax {
                self.writeBatch(context)
                isWritten = true
            }
            if bytes.readableBytes > Self.batchByteCountMax {
                context.write(self.wrapOutboundOut(bytes), promise: nil)
                isWritten = true
            } else {
                self.batch.writeImmutableBuffer(bytes)
            }
        }
        if self.batch.readableBytes > 0 || isWritten {
            self.writeBatch(context)
            context.flush()
        }
    }

    private func writeBatch(_ context: ChannelHandlerContext) {
        guard self.batch.readableBytes > 0 else { return }
        context.write(self.wrapOutboundOut(self.batch), promise: nil)
        self.batch.clear()
    }

    /// Tells the owner once for all calls that ended in this turn.
    private func report() {
        guard self.finishedCount > 0, let connection = self.connection else { return }
        let count = self.finishedCount
        self.finishedCount = 0
        self.owner.finished(connection, count: count)
    }

    private func closeIfDrained() {
        // Replies that nobody waits for any more are not waited for.
        guard self.isDraining, self.inFlight.allSatisfy({ $0.call.isEnded }),
            self.unsent.allSatisfy({ $0.isEnded })
        else { return }
        self.context?.close(promise: nil)
    }

    private func fail(_ error: ClientError, context: ChannelHandlerContext) {
        guard self.failure == nil else { return }
        self.failure = error
        self.report()
        context.close(promise: nil)
        self.end()
    }

    /// Gives everything back, once.
    private func end() {
        guard let connection = self.connection else { return }
        self.connection = nil
        self.timer?.task.cancel()
        self.timer = nil
        let error = self.failure ?? ClientError(.connectionLost, "the server closed the connection")
        self.failure = error
        // First the pool sends nothing here any more, then what still came is collected.
        self.owner.lost(connection)
        var calls: [Call] = []
        while let sent = self.inFlight.popFirst() { calls.append(sent.call) }
        while let call = self.unsent.popFirst() { calls.append(call) }
        calls.append(contentsOf: connection.shut())
        self.owner.unfinished(calls, error: error)
    }
}

extension ConnectionHandler {
    /// Sees to it that the timer fires at this moment or before.
    private func arm(at deadline: NIODeadline) {
        guard let context = self.context, self.failure == nil else { return }
        if let timer = self.timer {
            guard deadline < timer.at else { return }
            timer.task.cancel()
        }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let task = context.eventLoop.scheduleTask(deadline: deadline) {
            bound.value.timerFired()
        }
        self.timer = (deadline, task)
    }

    /// Ends the calls whose deadline has passed and gives a stalled connection up.
    private func timerFired() {
        self.timer = nil
        guard let context = self.context, self.failure == nil else { return }
        let now = NIODeadline.now()
        var next = NIODeadline.distantFuture
        var stalledAt = NIODeadline.distantFuture
        let late = ClientError(.timeout, "no reply before the deadline")
        for sent in self.inFlight {
            // A cancelled call is owed its reply, too, but not before its deadline.
            guard sent.call.deadline <= now else {
                next = min(next, sent.call.deadline)
                continue
            }
            sent.call.fail(late)
            stalledAt = min(stalledAt, max(self.progressAt, sent.sentAt) + self.stallTimeout)
        }
        for call in self.unsent where !call.isEnded {
            if call.deadline <= now { call.fail(late) } else { next = min(next, call.deadline) }
        }
        guard stalledAt > now else {
            let seconds = self.stallTimeout.nanoseconds / 1_000_000_000
            let message = "the server has sent nothing for \(seconds) s, connection given up"
            return self.fail(ClientError(.connectionLost, message), context: context)
        }
        next = min(next, stalledAt)
        if next < .distantFuture { self.arm(at: next) }
        self.closeIfDrained()
    }
}
