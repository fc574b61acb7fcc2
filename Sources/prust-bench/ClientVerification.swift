import PrustDBClient

/// Reads records back through the library that applications use, many calls at a time.
///
/// Calls are started in batches, and a batch's results are taken in the order of the file, so that
/// of a key that comes several times the last record counts.
struct ClientVerification {
    private static let batchRecordCount = 16_384
    private static let batchByteCount = 32 * 1024 * 1024

    let options: RecordOptions
    let client: Client
    private var splitter: RecordSplitter
    private var summary = RecordWork.Summary()
    private var progress: Progress
    private var seen: Set<UInt64> = []
    private var differences: [[UInt8]: RecordProblem] = [:]

    init(options: RecordOptions, client: Client, total: Int?) {
        self.options = options
        self.client = client
        self.splitter = RecordSplitter(
            format: options.format,
            keyFields: options.keyFields,
            prefix: options.prefix
        )
        self.progress = Progress(total: total, isTerminal: Terminal.isErrorTerminal)
    }

    /// Connects with as many calls at a time as the options have connections times pipeline.
    static func connect(
        _ options: RecordOptions,
        _ target: Target
    ) async throws(BenchError) -> Client {
        var configuration = ClientConfiguration()
        configuration.deadline = options.retry.duration
        configuration.connectionCountMax = min(options.connections, 256)
        do {
            return try await Client.connect(
                nodes: [target.node],
                dialer: target.dialer,
                configuration: configuration
            )
        } catch {
            throw BenchError(error)
        }
    }

    /// Does the work; what ends it early is in the summary.
    mutating func run(_ file: consuming InputFile) async -> RecordWork.Summary {
        var piece: [UInt8] = []
        var isAtEnd = false
        do {
            while !isAtEnd {
                try file.read(into: &piece)
                isAtEnd = piece.isEmpty
                self.summary.bytesRead += piece.count
                if isAtEnd { self.splitter.finish() } else { self.splitter.append(piece) }
                while let batch = try self.nextBatch() { try await self.compare(batch) }
            }
        } catch let error as RecordError {
            self.summary.failure = BenchError(.failed, "\(self.options.file), \(error)")
        } catch let error as BenchError {
            self.summary.failure = error
        } catch {
            self.summary.failure = BenchError(.failed, "\(error)")
        }
        self.progress.clear()
        self.summary.seconds = self.progress.seconds
        self.summary.differences = self.differences.values.sorted { $0.record < $1.record }
        return self.summary
    }

    private mutating func nextBatch() throws(RecordError) -> [Record]? {
        var batch: [Record] = []
        var byteCount = 0
        while batch.count < Self.batchRecordCount, byteCount < Self.batchByteCount,
            let record = try self.splitter.next()
        {
            guard record.number > self.options.skip else {
                self.summary.skipped += 1
                continue
            }
            byteCount += record.value.count
            batch.append(record)
        }
        return batch.isEmpty ? nil : batch
    }

    private mutating func compare(_ batch: [Record]) async throws(BenchError) {
        let outcomes = await self.outcomes(batch)
        for (record, outcome) in zip(batch, outcomes) {
            self.summary.records += 1
            if self.seen.count < RecordWork.keyCountMax,
                !self.seen.insert(LaneSystem.hash(record.key)).inserted
            {
                self.summary.repeatedKeys += 1
            }
            switch outcome {
            case .refused(let problem):
                self.summary.tally.refusedCount += 1
                let example = RecordProblem(record, problem)
                if self.summary.tally.problems.count < LaneBoard.problemCountMax {
                    self.summary.tally.problems.append(example)
                }
                guard self.summary.tally.refusedCount <= self.options.maxErrors else {
                    throw BenchError(.failed, "too many reads failed, last: \(problem)")
                }
                continue
            case .done: self.differences[record.key] = nil
            case .missing: self.differences[record.key] = RecordProblem(record, "missing")
            case .different: self.differences[record.key] = RecordProblem(record, "different")
            }
            self.summary.tally.doneCount += 1
            self.summary.tally.doneByteCount += record.value.count
        }
        self.progress.tick(
            records: self.summary.tally.doneCount,
            readByteCount: self.summary.bytesRead
        )
    }

    /// Each of the tasks makes one call after the other, so that few tasks make many calls.
    private func outcomes(_ batch: [Record]) async -> [RecordOutcome] {
        let client = self.client
        let taskCount = min(self.options.connections * self.options.pipeline, batch.count, 2_048)
        return await withTaskGroup(of: [(Int, RecordOutcome)].self) { group in
            for first in 0..<taskCount {
                group.addTask {
                    var outcomes: [(Int, RecordOutcome)] = []
                    for index in stride(from: first, to: batch.count, by: taskCount) {
                        outcomes.append((index, await Self.outcome(batch[index], client)))
                    }
                    return outcomes
                }
            }
            var outcomes = [RecordOutcome](repeating: .missing, count: batch.count)
            for await part in group {
                for (index, outcome) in part { outcomes[index] = outcome }
            }
            return outcomes
        }
    }

    private static func outcome(_ record: Record, _ client: Client) async -> RecordOutcome {
        do {
            guard let value = try await client.get(record.key) else { return .missing }
            return value == record.value ? .done : .different
        } catch {
            return .refused(error.message)
        }
    }
}
