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
        /// How long a lost connection may stay away.
        let patience: TimeAmount
        /// How long a connection may owe replies and get none.
        let silenceMax: TimeAmount
        let refusedCountMax: Int
        let judge: Lane.Judge
        /// Bytes of the records under way, on all connections together.
        var byteCountMax = 64 * 1024 * 1024
    }

    static let differenceCountMax = 100_000
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
            byteCountMax: settings.byteCountMax
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
    ///
    /// - Parameters:
    ///   - record: The record.
    ///   - command: Its command.
    ///   - tick: Called now and then.
    /// - Throws: What ended the work before the record was taken; it will not be sent.
    func send(_ record: Record, command: ByteBuffer, tick: () -> Void) throws(BenchError) {
        if let failure = self.board.failure { throw failure }
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

    /// Ends the connections; what was not given to them yet is not sent any more.
    ///
    /// - Returns: What is left, with the differences in the order of the file.
    func close() -> Lane.Rest {
        let unsent = self.batches.compactMap { $0.first?.record.number }
        var rest = Lane.Rest(unfinished: unsent.min())
        for lane in self.lanes {
            guard let part = try? lane.eventLoop.submit({ lane.value.close() }).wait() else {
                continue
            }
            rest.add(part)
        }
        try? self.group.syncShutdownGracefully()
        rest.differences.sort { $0.record < $1.record }
        return rest
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
