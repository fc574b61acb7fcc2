import NIOCore
import PrustDBClient
import PrustWire

/// A record and the command that it became.
struct LaneItem: Sendable {
    let record: Record
    let command: ByteBuffer
    /// Whether the command left at least once; without a reply its outcome is unknown.
    var isSent = false
}

/// One connection that works records off in their order.
///
/// Records of the same key take the same lane, so that the last one wins. When the connection
/// breaks, everything that has no reply is sent again on the next one: writing the same value twice
/// is harmless, and nobody else is expected to write these keys meanwhile. A lane that was away or
/// owed replies for too long ends the whole work.
final class Lane: PipelineDelegate {
    typealias Judge = @Sendable (Record, RESPValue) -> RecordOutcome

    /// What a lane leaves when it ends; that of several is added up.
    struct Rest: Sendable {
        /// The number of the first record that has no outcome.
        var unfinished: Int?
        /// Whether a command was sent whose reply has not come.
        var hasUnanswered = false
        /// Keys whose latest record is not what the server holds.
        var differences: [RecordProblem] = []

        mutating func add(_ other: Self) {
            if let number = other.unfinished {
                self.unfinished = min(self.unfinished ?? number, number)
            }
            self.hasUnanswered = self.hasUnanswered || other.hasUnanswered
            self.differences += other.differences
        }
    }

    private static let reconnectPause = TimeAmount.milliseconds(200)
    private static let writeByteCount = 64 * 1024

    private let target: Target
    private let eventLoop: any EventLoop
    private let board: LaneBoard
    private let budget: Budget
    private let depth: Int
    private let judge: Judge
    /// How long a lost connection may stay away, until the next one has had a reply.
    private let patience: TimeAmount
    private var watch: SilenceWatch
    private var isWatching = false
    private var handler: PipelineHandler<Lane>?
    private var pending = CircularBuffer<LaneItem>()
    private var inFlight = CircularBuffer<LaneItem>()
    private var buffer = ByteBuffer()
    private var freed = (itemCount: 0, byteCount: 0)
    private var done = (count: 0, byteCount: 0)
    /// Keys whose latest record is not what the server holds.
    private var differences: [[UInt8]: RecordProblem] = [:]
    private var lostAt: NIODeadline?
    private var isClosing = false

    init(settings: LaneSystem.Settings, board: LaneBoard, budget: Budget, eventLoop: any EventLoop)
    {
        self.target = settings.target
        self.depth = settings.pipelineDepth
        self.judge = settings.judge
        self.patience = settings.patience
        self.watch = SilenceWatch(bound: settings.silenceMax, now: .now())
        self.board = board
        self.budget = budget
        self.eventLoop = eventLoop
    }

    func connect() -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        return PipelineHandler.connect(to: self.target, on: self.eventLoop, delegate: self)
            .map { handler in
                bound.value.handler = handler.value
                bound.value.pump()
            }
    }

    func add(_ items: [LaneItem]) {
        self.pending.append(contentsOf: items)
        self.pump()
    }

    /// Ends the lane; what is left has no outcome.
    func close() -> Rest {
        self.isClosing = true
        self.handler?.close()
        let first = self.inFlight.first ?? self.pending.first
        return Rest(
            unfinished: first?.record.number,
            hasUnanswered: first?.isSent ?? false,
            differences: Array(self.differences.values)
        )
    }

    private func pump() {
        guard let handler = self.handler else { return }
        if self.inFlight.isEmpty { self.watch.reset(now: .now()) }
        while self.inFlight.count < self.depth, var item = self.pending.popFirst() {
            item.isSent = true
            self.inFlight.append(item)
            var command = item.command
            self.buffer.writeBuffer(&command)
            if self.buffer.readableBytes >= Self.writeByteCount { self.flush(handler) }
        }
        self.flush(handler)
        self.watchSilence()
    }

    private func watchSilence() {
        guard !self.isWatching, !self.inFlight.isEmpty else { return }
        self.isWatching = true
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.eventLoop.scheduleTask(deadline: self.watch.deadline) { bound.value.checkSilence() }
    }

    private func checkSilence() {
        self.isWatching = false
        guard !self.isClosing, self.handler != nil, !self.inFlight.isEmpty else { return }
        guard self.watch.isOver(now: .now()) else { return self.watchSilence() }
        self.board.fail(BenchError(.unreachable, self.watch.message))
    }

    private func flush(_ handler: PipelineHandler<Lane>) {
        guard self.buffer.readableBytes > 0 else { return }
        handler.write(self.buffer)
        self.buffer.clear()
    }

    func received(_ reply: RESPValue) {
        guard let item = self.inFlight.popFirst() else {
            self.board.fail(BenchError(.failed, "the server sent a reply to no command"))
            return
        }
        self.lostAt = nil
        let record = item.record
        switch self.judge(record, reply) {
        case .done:
            self.done.count += 1
            self.done.byteCount += record.value.count
            if !self.differences.isEmpty { self.differences[record.key] = nil }
        case .refused(let problem):
            self.board.refused(record, problem)
        case .missing:
            self.differs(record, "missing")
        case .different:
            self.differs(record, "different")
        }
        self.freed.itemCount += 1
        self.freed.byteCount += LaneSystem.cost(of: record)
    }

    /// The verdict on a key is that on its latest record; what came before was to be overwritten.
    private func differs(_ record: Record, _ problem: String) {
        self.done.count += 1
        self.done.byteCount += record.value.count
        self.differences[record.key] = RecordProblem(record, problem)
        if self.differences.count > LaneSystem.differenceCountMax {
            self.board.fail(BenchError(.failed, "too many differences, the data is another"))
        }
    }

    func receivedAll() {
        self.board.add(doneCount: self.done.count, byteCount: self.done.byteCount)
        self.done = (0, 0)
        self.watch.reset(now: .now())
        self.pump()
        self.budget.give(itemCount: self.freed.itemCount, byteCount: self.freed.byteCount)
        self.freed = (0, 0)
    }

    func closed(_ reason: String) {
        self.handler = nil
        self.receivedAll()
        guard !self.isClosing else { return }
        self.inFlight.append(contentsOf: self.pending)
        self.pending = self.inFlight
        self.inFlight = CircularBuffer()
        self.buffer.clear()
        self.lostAt = self.lostAt ?? .now()
        self.reconnectLater(reason)
    }

    private func reconnectLater(_ reason: String) {
        let since = self.lostAt ?? .now()
        guard NIODeadline.now() - since < self.patience else {
            self.board.fail(BenchError(.unreachable, "connection lost: \(reason)"))
            return
        }
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.eventLoop.scheduleTask(in: Self.reconnectPause) {
            guard !bound.value.isClosing else { return }
            bound.value.connect().assumeIsolated().whenComplete { bound.value.reconnected($0) }
        }
    }

    private func reconnected(_ result: Result<Void, any Error>) {
        switch result {
        case .success:
            if self.inFlight.isEmpty { self.lostAt = nil }
            self.board.reconnected()
            if self.isClosing { self.handler?.close() }
        case .failure(let error):
            self.reconnectLater((error as? ClientError)?.message ?? "\(error)")
        }
    }
}
