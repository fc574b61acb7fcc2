import Synchronization

/// What became of a record.
enum RecordOutcome: Sendable {
    case done
    /// The server refused it, with its error line.
    case refused(String)
    case missing
    case different
}

/// One record that was refused or differs, for the report.
struct RecordProblem: Encodable, Sendable {
    let record: Int
    let line: Int
    let key: String
    let problem: String

    init(_ record: Record, _ problem: String) {
        self.record = record.number
        self.line = record.line
        // Keys come from a file and go to a terminal.
        self.key = String(
            String(decoding: record.key.prefix(200), as: UTF8.self).unicodeScalars.map {
                $0.value < 0x20 || $0.value == 0x7F ? "?" : Character($0)
            }
        )
        self.problem = problem
    }
}

/// The tally that all connections share.
final class LaneBoard: Sendable {
    struct Tally: Sendable {
        var doneCount = 0
        var doneByteCount = 0
        var refusedCount = 0
        /// Those of the refused for which the server cannot say whether it wrote them.
        var unknownCount = 0
        var reconnectCount = 0
        var problems: [RecordProblem] = []
        /// What ends the whole work.
        var failure: BenchError?
    }

    static let problemCountMax = 10

    private let refusedCountMax: Int
    private let tally = Mutex(Tally())

    init(refusedCountMax: Int) {
        self.refusedCountMax = refusedCountMax
    }

    var current: Tally { self.tally.withLock { $0 } }
    var failure: BenchError? { self.tally.withLock { $0.failure } }

    func add(doneCount: Int, byteCount: Int) {
        self.tally.withLock { tally in
            tally.doneCount += doneCount
            tally.doneByteCount += byteCount
        }
    }

    func refused(_ record: Record, _ problem: String) {
        self.tally.withLock { tally in
            tally.refusedCount += 1
            if problem.hasPrefix("UNKNOWN") { tally.unknownCount += 1 }
            if tally.problems.count < Self.problemCountMax {
                tally.problems.append(RecordProblem(record, problem))
            }
            guard tally.failure == nil, tally.refusedCount > self.refusedCountMax else { return }
            let status: BenchError.Status = problem.hasPrefix("NOPERM") ? .notAllowed : .failed
            let message = "more than \(self.refusedCountMax) records refused, last: \(problem)"
            tally.failure = BenchError(status, message)
        }
    }

    func reconnected() {
        self.tally.withLock { $0.reconnectCount += 1 }
    }

    func fail(_ error: BenchError) {
        self.tally.withLock { tally in
            if tally.failure == nil { tally.failure = error }
        }
    }
}
