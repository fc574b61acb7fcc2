package import NIOCore

/// Frees the TLS state of ended connections a few at a time; confined to one event loop.
///
/// OpenSSL keeps hundreds of small pieces of memory for a connection. When thousands of
/// connections end at once, to free them all at once would hold up everyone else on the loop.
package final class ConnectionGrave {
    /// Connections freed in one turn, and the time between two turns.
    private static let turnCount = 16
    /// Connections that may wait; beyond that one is freed for each that comes.
    package static let countMax = 8_192
    private static let pause = TimeAmount.milliseconds(1)

    private let eventLoop: any EventLoop
    private var waiting = CircularBuffer<TLSConnection>()
    private var isScheduled = false

    package init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Connections that are not freed yet.
    package var count: Int { self.waiting.count }

    func bury(_ connection: TLSConnection) {
        if self.waiting.count >= Self.countMax { self.waiting.removeFirst() }
        self.waiting.append(connection)
        self.schedule()
    }

    private func schedule() {
        guard !self.isScheduled else { return }
        self.isScheduled = true
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.eventLoop.scheduleTask(in: Self.pause) { bound.value.free() }
    }

    private func free() {
        self.isScheduled = false
        self.waiting.removeFirst(min(Self.turnCount, self.waiting.count))
        if !self.waiting.isEmpty { self.schedule() }
    }
}

@available(*, unavailable)
extension ConnectionGrave: Sendable {}
