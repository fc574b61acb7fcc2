import NIOCore
import NIOPosix
import PrustDBClient
import PrustWire

/// Works the records of a file off on many connections, within a bound of memory.
///
/// Used from one thread, which reads the file; it waits while too much is under way.
final class LaneSystem {
    struct Settings: Sendable {
        let target: Target
        let connectionCount: Int
        let pipelineDepth: Int
        let threadCount: Int
        let patience: TimeAmount
        let refusedCountMax: Int
        let judge: Lane.Judge
    }

    static let differenceCountMax = 100_000
    /// Bytes of the records under way, on all connections together.
    private static let byteCountMax = 64 * 1024 * 1024
    private static let batchItemCount = 32

    let board: LaneBoard
    private let settings: Settings
    private let budget: Budget
    private let group: MultiThreadedEventLoopGroup
    private let lanes: [NIOLoopBound<Lane>]
    private var batches: [[LaneItem]]

    init(settings: Settings) throws(BenchError) {
        self.settings = settings
        self.board = LaneBoard(refusedCountMax: settings.refusedCountMax)
        self.budget = Budget(
            itemCountMax: settings.connectionCount * settings.pipelineDepth * 4,
            byteCountMax: Self.byteCountMax
        )
        self.group = MultiThreadedEventLoopGroup(numberOfThreads: settings.threadCount)
        self.batches = Array(repeating: [], count: settings.connectionCount)
        let (board, budget, group) = (self.board, self.budget, self.group)
        do {
            self.lanes = try (0..<settings.connectionCount).map { _ in
                let eventLoop = group.next()
                return try eventLoop.submit {
                    let lane = Lane(
                        settings: settings,
                        board: board,
                        budget: budget,
                        eventLoop: eventLoop
                    )
                    return NIOLoopBound(lane, eventLoop: eventLoop)
                }.wait()
            }
            for lane in self.lanes {
                try lane.eventLoop.flatSubmit { lane.value.connect() }.wait()
            }
        } catch let error as ClientError {
            throw BenchError(error)
        } catch {
            throw BenchError(.failed, "\(error)")
        }
    }

    /// Bytes that a record takes while it is under way: itself and its command.
    static func cost(of record: Record) -> Int {
        2 * (record.value.count + record.key.count) + 200
    }

    /// Sends a record; waits while too much is under way, and meanwhile calls `tick`.
    func send(_ record: Record, command: ByteBuffer, tick: () -> Void) throws(BenchError) {
        let cost = Self.cost(of: record)
        while !self.budget.take(byteCount: cost) {
            self.flush()
            self.budget.wait()
            tick()
            if let failure = self.board.failure { throw failure }
        }
        let index = Int(truncatingIfNeeded: Self.hash(record.key) % UInt64(self.lanes.count))
        self.batches[index].append(LaneItem(record: record, command: command))
        if self.batches[index].count >= Self.batchItemCount { self.flush(index) }
        if let failure = self.board.failure { throw failure }
    }

    /// Waits until everything that was sent has an outcome.
    func finish(tick: () -> Void) throws(BenchError) {
        self.flush()
        while self.budget.itemCount > 0 {
            self.budget.wait()
            tick()
            if let failure = self.board.failure { throw failure }
        }
        if let failure = self.board.failure { throw failure }
    }

    /// Ends the connections.
    ///
    /// - Returns: The number of the first record that has no outcome, and what differs.
    func close() -> (unfinished: Int?, differences: [RecordProblem]) {
        self.flush()
        var unfinished: Int?
        var differences: [RecordProblem] = []
        for lane in self.lanes {
            guard let end = try? lane.eventLoop.submit({ lane.value.close() }).wait() else {
                continue
            }
            differences += end.differences
            if let number = end.unfinished { unfinished = min(unfinished ?? number, number) }
        }
        try? self.group.syncShutdownGracefully()
        return (unfinished, differences.sorted { $0.record < $1.record })
    }

    /// FNV-1a with a final mix, the same in every process.
    static func hash(_ bytes: [UInt8]) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        hash = (hash ^ (hash >> 32)) &* 0xD6E8_FEB8_6659_FD93
        return hash ^ (hash >> 32)
    }

    private func flush() {
        for index in self.batches.indices { self.flush(index) }
    }

    private func flush(_ index: Int) {
        let items = self.batches[index]
        guard !items.isEmpty else { return }
        self.batches[index] = []
        let lane = self.lanes[index]
        lane.eventLoop.execute { lane.value.add(items) }
    }
}
