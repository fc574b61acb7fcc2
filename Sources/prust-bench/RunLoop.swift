import NIOCore
import PrustDBClient

/// One event loop's part of a run: its connections, its random numbers, its measurements.
///
/// Everything happens on the loop. In a closed loop each connection keeps its pipeline full. In an
/// open loop operations are due at fixed moments, whoever is free takes the next one, and latency
/// counts from the moment at which it was due: a stall of the server is seen in full.
///
/// When the node sends no reply at all for too long, the loop gives it up and ends.
final class RunLoop {
    /// How often a loop looks whether it is owed anything.
    private static let silenceCheckPause = TimeAmount.seconds(1)

    private let plan: RunPlan
    private let eventLoop: any EventLoop
    private let done: EventLoopPromise<Void>
    private var writer: CommandWriter
    private var measurements = Measurements()
    private var connections: [RunConnection] = []
    private var remaining: Int?
    private var isRecording = false
    /// Whether operations are sent: not before the start, when connections already see events.
    private var isSending = false
    private var isDone = false
    /// The moment at which the next operation of an open loop is due, and its distance to others.
    private var dueAt = NIODeadline.now()
    private var interval: TimeAmount?
    private var ticker: Scheduled<Void>?
    private var nextConnection = 0
    private var watch: SilenceWatch

    init(plan: RunPlan, index: Int, eventLoop: any EventLoop) {
        self.plan = plan
        self.eventLoop = eventLoop
        self.done = eventLoop.makePromise()
        self.writer = CommandWriter(plan: plan, loop: index)
        self.watch = SilenceWatch(bound: plan.silenceMax, now: .now())
        self.remaining = plan.requestCount.map {
            RunPlan.share(of: $0, index: index, count: plan.threadCount)
        }
        if let rate = plan.rate {
            let nanoseconds = 1_000_000_000 * Int64(plan.threadCount) / Int64(rate)
            self.interval = .nanoseconds(max(1, nanoseconds))
        }
        let count = RunPlan.share(
            of: plan.connectionCount,
            index: index,
            count: plan.threadCount
        )
        self.connections = (0..<count).map { _ in
            RunConnection(owner: self, target: plan.target, eventLoop: eventLoop)
        }
    }

    var isOpen: Bool { self.interval != nil }
    var depth: Int { self.plan.pipelineDepth }

    func connect() -> EventLoopFuture<Void> {
        .andAllSucceed(self.connections.map { $0.connect() }, on: self.eventLoop)
    }

    /// Begins; the future ends when the number of requests is done, the node is given up, or after
    /// `close`.
    func start() -> EventLoopFuture<Void> {
        self.isSending = true
        self.isRecording = self.plan.warmup == .zero
        self.dueAt = .now()
        if self.isOpen {
            self.tick()
        } else {
            for connection in self.connections { connection.fill() }
        }
        self.watch.reset(now: .now())
        self.checkSilence()
        self.finishIfDone()
        return self.done.futureResult
    }

    func beginRecording() { self.isRecording = true }

    /// Sends nothing more; what arrives later is not counted.
    func stop() -> Measurements {
        self.isSending = false
        self.isRecording = false
        self.ticker?.cancel()
        return self.measurements
    }

    func close() {
        for connection in self.connections { connection.close() }
        // They hold this loop, too.
        self.connections = []
        self.finish()
    }

    /// Writes one more command; `nil` when none is to be sent.
    func writeCommand(into buffer: inout ByteBuffer) -> Int? {
        guard self.isSending, self.remaining != 0 else { return nil }
        self.remaining = self.remaining.map { $0 - 1 }
        return self.writer.write(into: &buffer)
    }

    func ended(_ operation: Int, nanoseconds: Int64, isMiss: Bool) {
        guard self.isRecording else { return }
        self.measurements.record(operation, nanoseconds: nanoseconds, isMiss: isMiss)
    }

    func failed(_ kind: String, count: Int = 1) {
        guard self.isSending else { return }
        self.measurements.recordError(kind, count: count)
    }

    /// The node is there: it answers.
    func replied(at now: NIODeadline) { self.watch.reset(now: now) }

    func reconnected() { self.measurements.reconnectCount += 1 }

    /// A connection has room again.
    func hasRoom(_ connection: RunConnection) {
        if self.isOpen {
            self.sendDue()
        } else {
            connection.fill()
        }
        self.finishIfDone()
    }

    private func finishIfDone() {
        guard self.remaining == 0, self.connections.allSatisfy({ $0.isIdle }) else { return }
        self.finish()
    }

    private func finish() {
        guard !self.isDone else { return }
        self.isDone = true
        self.done.succeed()
    }

    private func checkSilence() {
        guard self.isSending, !self.isDone else { return }
        let now = NIODeadline.now()
        // Between the operations of a slow open loop nothing is owed.
        if self.isOpen, self.dueAt > now, self.connections.allSatisfy({ $0.isIdle }) {
            self.watch.reset(now: now)
        }
        guard !self.watch.isOver(now: now) else {
            self.measurements.outage = self.watch.message
            return self.finish()
        }
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        let next = min(self.watch.deadline, now + Self.silenceCheckPause)
        self.eventLoop.scheduleTask(deadline: next) { bound.value.checkSilence() }
    }

    private func tick() {
        self.ticker = nil
        self.sendDue()
        guard self.isSending, self.remaining != 0 else { return }
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        let next = max(self.dueAt, .now() + .microseconds(20))
        self.ticker = self.eventLoop.scheduleTask(deadline: next) { bound.value.tick() }
    }

    /// Sends the operations that are due while any connection has room.
    private func sendDue() {
        guard let interval = self.interval, self.isSending else { return }
        let now = NIODeadline.now()
        var isFull = false
        while self.dueAt <= now, self.remaining != 0, !isFull {
            isFull = true
            for _ in self.connections.indices {
                self.nextConnection = (self.nextConnection + 1) % self.connections.count
                if self.connections[self.nextConnection].add(dueAt: self.dueAt) {
                    isFull = false
                    break
                }
            }
            if !isFull { self.dueAt = self.dueAt + interval }
        }
        for connection in self.connections { connection.flush() }
    }
}
