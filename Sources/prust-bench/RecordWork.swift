import NIOCore
import PrustWire

/// Goes through a file once and sends a command for each record.
struct RecordWork {
    /// What came of it.
    struct Summary: Sendable {
        var records = 0
        var skipped = 0
        var bytesRead = 0
        var repeatedKeys = 0
        var seconds = 0.0
        var tally = LaneBoard.Tally()
        var differences: [RecordProblem] = []
        /// The first record whose outcome is not known, and why the work ended before its time.
        var unfinished: Int?
        /// Whether a command was sent whose reply has not come.
        var hasUnanswered = false
        var failure: BenchError?
    }

    /// Keys that are remembered, by their hash, to count the repeated ones.
    static let keyCountMax = 8 * 1024 * 1024

    let options: RecordOptions
    let system: LaneSystem
    /// Writes a record's command.
    let command: (Record) -> ByteBuffer

    private var seen: Set<UInt64> = []
    private var summary = Summary()
    private var progress: Progress

    init(
        options: RecordOptions,
        system: LaneSystem,
        total: Int?,
        command: @escaping (Record) -> ByteBuffer
    ) {
        self.options = options
        self.system = system
        self.command = command
        self.progress = Progress(total: total, isTerminal: Terminal.isErrorTerminal)
    }

    /// Does the work; what ends it early is in the summary, with what was done until then.
    mutating func run(_ file: borrowing InputFile) -> Summary {
        do {
            try self.readAll(file)
        } catch {
            self.summary.failure = error
        }
        if self.summary.failure?.status != .unreachable {
            // What was sent before a bad record still gets its outcome.
            do {
                let system = self.system
                try system.finish { self.tick() }
            } catch {
                self.summary.failure = self.summary.failure ?? error
            }
        }
        self.progress.clear()
        self.summary.seconds = self.progress.seconds
        let rest = self.system.close()
        self.summary.unfinished = rest.unfinished
        self.summary.hasUnanswered = rest.hasUnanswered
        self.summary.differences = rest.differences
        self.summary.tally = self.system.board.current
        return self.summary
    }

    private mutating func readAll(_ file: borrowing InputFile) throws(BenchError) {
        var splitter = RecordSplitter(
            format: self.options.format,
            keyFields: self.options.keyFields,
            prefix: self.options.prefix
        )
        var piece: [UInt8] = []
        var isAtEnd = false
        while !isAtEnd {
            try file.read(into: &piece)
            isAtEnd = piece.isEmpty
            self.summary.bytesRead += piece.count
            if isAtEnd { splitter.finish() } else { splitter.append(piece) }
            try self.sendAll(of: &splitter)
            self.tick()
        }
    }

    private mutating func sendAll(of splitter: inout RecordSplitter) throws(BenchError) {
        do {
            while let record = try splitter.next() {
                guard record.number > self.options.skip else {
                    self.summary.skipped += 1
                    continue
                }
                let system = self.system
                try system.send(record, command: self.command(record)) { self.tick() }
                self.summary.records += 1
                if self.seen.count < Self.keyCountMax,
                    !self.seen.insert(LaneSystem.hash(record.key)).inserted
                {
                    self.summary.repeatedKeys += 1
                }
            }
        } catch let error as RecordError {
            throw BenchError(.failed, "\(self.options.file), \(error)")
        } catch let error as BenchError {
            throw error
        } catch {
            throw BenchError(.failed, "\(error)")
        }
    }

    private mutating func tick() {
        self.progress.tick(
            records: self.system.board.current.doneCount,
            readByteCount: self.summary.bytesRead
        )
    }
}
