import NIOCore
private import Synchronization

/// One ready connection as the rest of the client sees it, from any thread.
///
/// Calls that are given to it within one turn of its event loop wake the loop once and leave in one
/// write.
final class Connection: Sendable {
    private struct Outbox {
        var calls: [Call] = []
        var isClosed = false
    }

    let id: ConnectionPool.ConnectionID
    let channel: any Channel
    private let handler: NIOLoopBound<ConnectionHandler>
    private let outbox = Mutex(Outbox())

    /// Puts a connection around a channel, on the channel's event loop.
    init(id: ConnectionPool.ConnectionID, channel: any Channel, handler: ConnectionHandler) {
        self.id = id
        self.channel = channel
        self.handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
    }

    /// Takes a call; `false` when the connection is lost already.
    func submit(_ call: Call) -> Bool {
        let (isTaken, wakes) = self.outbox.withLock { outbox in
            guard !outbox.isClosed else { return (false, false) }
            outbox.calls.append(call)
            return (true, outbox.calls.count == 1)
        }
        if wakes { self.channel.eventLoop.execute { self.handler.value.wakeUp(self) } }
        return isTaken
    }

    /// Hands over the calls that were taken since the last time.
    func takeCalls() -> [Call] {
        self.outbox.withLock { outbox in
            let calls = outbox.calls
            outbox.calls.removeAll(keepingCapacity: false)
            return calls
        }
    }

    /// Takes no more calls, and hands over those that are left.
    func shut() -> [Call] {
        self.outbox.withLock { outbox in
            outbox.isClosed = true
            let calls = outbox.calls
            outbox.calls = []
            return calls
        }
    }

    /// Closes once all calls have ended, at the deadline at the latest.
    func drain(deadline: NIODeadline) {
        self.channel.eventLoop.execute { self.handler.value.drain(deadline: deadline) }
    }
}
