import NIOCore
import PrustCore
import PrustStorage
import PrustTelemetry
import Synchronization

/// What the sessions of one event loop share; confined to the loop.
package final class LoopState {
    let index: Int
    let eventLoop: any EventLoop
    let services: SessionServices
    let executor: CommandExecutor
    var tally = ReplyTally()
    /// Sessions that wait for the log: their replies, or room in its queue.
    private var waiting: [RESPSession] = []
    private var sessions: [ObjectIdentifier: RESPSession] = [:]
    private var sending: [RESPSession] = []
    private var isTurnEndScheduled = false
    private var hasAppended = false
    private var isDraining = false

    init(index: Int, eventLoop: any EventLoop, services: SessionServices) {
        self.index = index
        self.eventLoop = eventLoop
        self.services = services
        self.executor = CommandExecutor(
            engine: services.engine,
            allocator: ByteBufferAllocator()
        )
        self.executor.replyByteCountMax = services.limits.outputByteCountMax
    }

    func add(_ session: RESPSession) {
        self.sessions[ObjectIdentifier(session)] = session
        guard self.isDraining else { return }
        let bound = NIOLoopBound(session, eventLoop: self.eventLoop)
        self.eventLoop.execute { bound.value.drain() }
    }

    func remove(_ session: RESPSession) {
        self.sessions[ObjectIdentifier(session)] = nil
    }

    func wait(_ session: RESPSession) {
        self.waiting.append(session)
    }

    /// Wakes the log once for everything that this turn of the loop appended.
    func scheduleFlush() {
        self.hasAppended = true
        self.scheduleTurnEnd()
    }

    /// Sends the session's ready replies when this turn of the loop ends.
    ///
    /// Clients that share a machine or a thread then wake once for a burst of replies, not once
    /// for each of them.
    func scheduleSend(_ session: RESPSession) {
        self.sending.append(session)
        if self.sending.count >= Self.burstCountMax { self.send() } else { self.scheduleTurnEnd() }
    }

    /// Sessions whose replies are sent together: no reply waits for more commands than theirs.
    private static let burstCountMax = 64

    private func scheduleTurnEnd() {
        guard !self.isTurnEndScheduled else { return }
        self.isTurnEndScheduled = true
        let state = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.eventLoop.execute { state.value.endTurn() }
    }

    private func endTurn() {
        self.isTurnEndScheduled = false
        if self.hasAppended {
            self.hasAppended = false
            self.services.engine.flush()
        }
        self.send()
    }

    private func send() {
        let sessions = self.sending
        self.sending.removeAll(keepingCapacity: true)
        for session in sessions { session.flush() }
    }

    /// The log has moved on: sends the replies that waited for it.
    func logMoved() {
        let durable = self.services.engine.durable
        let woken = self.waiting
        self.waiting.removeAll(keepingCapacity: true)
        for session in woken { session.logMoved(durable: durable) }
    }

    /// Closes sessions that were idle for too long, and those that take up the most memory with
    /// replies that nobody reads; called every second or so.
    func closeIdle(now: MonotonicInstant) {
        let limits = self.services.limits
        var unsentByteCount = 0
        for session in self.sessions.values {
            session.closeIfIdle(now: now, limits)
            unsentByteCount += session.unsentByteCount
        }
        let share = limits.outputTotalByteCountMax / self.services.loopCount
        guard unsentByteCount > share else { return }
        let largest = self.sessions.values.sorted { $0.unsentByteCount > $1.unsentByteCount }
        for session in largest where unsentByteCount > share {
            unsentByteCount -= session.unsentByteCount
            self.services.metrics.connection.outputCloses.add()
            session.abort()
        }
    }

    /// Asks every session to end once its replies are out.
    func drain() {
        self.isDraining = true
        for session in self.sessions.values { session.drain() }
    }

    /// What CLIENT LIST says of each session, the oldest first.
    var descriptions: [String] {
        self.sessions.values.sorted { $0.id < $1.id }.map(\.description)
    }

    var sessionCount: Int { self.sessions.count }
}

/// Wakes a loop for the log, at most once at a time.
final class LoopNotifier: Sendable {
    private let isScheduled = Atomic<Bool>(false)
    private let eventLoop: any EventLoop
    private let state: NIOLoopBound<LoopState>

    init(_ state: LoopState) {
        self.eventLoop = state.eventLoop
        self.state = NIOLoopBound(state, eventLoop: state.eventLoop)
    }

    func notify() {
        guard !self.isScheduled.exchange(true, ordering: .acquiringAndReleasing) else { return }
        self.eventLoop.execute {
            self.isScheduled.store(false, ordering: .releasing)
            self.state.value.logMoved()
        }
    }
}
