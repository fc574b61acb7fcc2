import ArgumentParser
import NIOCore
import PrustDBClient
import PrustWire

/// `prust-bench verify`.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read the records of a file back from a node and compare.",
        discussion: """
            Takes the same options as the load before it. Of a key that comes several times the \
            last record counts. Exit status 1 when anything is missing or different.
            """
    )

    struct Report: Encodable {
        let records: Int
        let skipped: Int
        let repeatedKeys: Int
        let compared: Int
        let missing: Int
        let different: Int
        let refused: Int
        let bytesRead: Int
        let valueBytes: Int
        let reconnects: Int
        let seconds: Double
        let recordsPerSecond: Double
        let problems: [RecordProblem]
        let error: String?
    }

    @OptionGroup var connection: RecordConnectionOptions
    @OptionGroup var options: RecordOptions

    @Flag(help: "Read through the Swift client, not the tool's own connections.")
    var client = false

    func run() async throws {
        let file = try InputFile(path: self.options.file)
        let target = try self.connection.target()
        let summary: RecordWork.Summary
        if self.client {
            let client = try await ClientVerification.connect(self.options, target)
            var verification = ClientVerification(
                options: self.options,
                client: client,
                total: file.byteCount
            )
            summary = await verification.run(file)
            await client.close()
        } else {
            summary = try self.compare(file, target)
        }
        try self.report(summary)
        if let failure = summary.failure { throw failure }
        if !summary.differences.isEmpty || summary.tally.refusedCount > 0 {
            throw ExitCode(BenchError.Status.failed.rawValue)
        }
    }

    private func compare(
        _ file: borrowing InputFile,
        _ target: Target
    ) throws -> RecordWork.Summary {
        let system = try LaneSystem(
            settings: self.options.settings(target: target) { record, reply in
                Self.judge(record, reply)
            }
        )
        var work = RecordWork(options: self.options, system: system, total: file.byteCount) {
            record in
            var bytes = ByteBuffer()
            RESPCommandEncoder.begin(argumentCount: 2, into: &bytes)
            RESPCommandEncoder.argument("GET", into: &bytes)
            RESPCommandEncoder.argument(record.key, into: &bytes)
            return bytes
        }
        return work.run(file)
    }

    static func judge(_ record: Record, _ reply: RESPValue) -> RecordOutcome {
        switch reply {
        case .bulk(let bytes):
            let isEqual = bytes.withUnsafeReadableBytes { $0.elementsEqual(record.value) }
            return isEqual ? .done : .different
        case .null: return .missing
        case .error(let text): return .refused(String(buffer: text))
        default: return .refused("a reply that is no answer to GET")
        }
    }

    private func report(_ summary: RecordWork.Summary) throws {
        let missingCount = summary.differences.count { $0.problem == "missing" }
        let differences = summary.differences.prefix(LaneBoard.problemCountMax)
        let report = Report(
            records: summary.records,
            skipped: summary.skipped,
            repeatedKeys: summary.repeatedKeys,
            compared: summary.tally.doneCount,
            missing: missingCount,
            different: summary.differences.count - missingCount,
            refused: summary.tally.refusedCount,
            bytesRead: summary.bytesRead,
            valueBytes: summary.tally.doneByteCount,
            reconnects: summary.tally.reconnectCount,
            seconds: summary.seconds,
            recordsPerSecond: Double(summary.tally.doneCount) / summary.seconds,
            problems: summary.tally.problems + differences,
            error: summary.failure?.message
        )
        guard !self.options.json else { return try Terminal.result(json: report) }
        Terminal.result(
            "\(Terminal.grouped(report.compared)) records compared"
                + " (\(Terminal.grouped(report.repeatedKeys)) repeated keys),"
                + " \(Progress.size(report.valueBytes)),"
                + " in \(Terminal.decimal(report.seconds)) s"
                + " (\(Terminal.grouped(Int(report.recordsPerSecond))) records/s):"
                + " \(Terminal.grouped(report.missing)) missing,"
                + " \(Terminal.grouped(report.different)) different,"
                + " \(Terminal.grouped(report.refused)) refused"
        )
        for problem in report.problems {
            Terminal.note(
                "record \(problem.record), line \(problem.line), key \(problem.key):"
                    + " \(problem.problem)\n"
            )
        }
    }
}
