import ArgumentParser
import NIOCore
import PrustWire

/// `prust-bench load`.
struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Write the records of a file to a node.",
        discussion: """
            The key is the prefix and the value of the key's field; the value is the record's \
            bytes as they stand in the file. A later record with the same key overwrites an \
            earlier one; give --key several times where one field does not tell records apart, \
            for example
              apt-cache dumpavail | prust-bench load - --format deb822 --key Package
            When the work ends early, it says with which --skip to go on. Exit status 6 when it \
            gives the node up while records have no answer: they may have been written.
            """
    )

    struct Report: Encodable {
        let records: Int
        let skipped: Int
        let acknowledged: Int
        let refused: Int
        let repeatedKeys: Int
        let bytesRead: Int
        let valueBytes: Int
        let reconnects: Int
        let seconds: Double
        let recordsPerSecond: Double
        let problems: [RecordProblem]
        /// The first record that may not be in the database, when the work ended early.
        let resumeSkip: Int?
        let error: String?
    }

    @OptionGroup var connection: RecordConnectionOptions
    @OptionGroup var options: RecordOptions

    func run() throws {
        let file = try InputFile(path: self.options.file)
        let target = try self.connection.target()
        let system = try LaneSystem(
            settings: self.options.settings(target: target) { _, reply in
                switch reply {
                case .simpleString: .done
                case .error(let text): .refused(String(buffer: text))
                default: .refused("a reply that is no answer to SET")
                }
            }
        )
        var work = RecordWork(options: self.options, system: system, total: file.byteCount) {
            record in
            var bytes = ByteBuffer()
            bytes.reserveCapacity(record.key.count + record.value.count + 48)
            RESPCommandEncoder.begin(argumentCount: 3, into: &bytes)
            RESPCommandEncoder.argument("SET", into: &bytes)
            RESPCommandEncoder.argument(record.key, into: &bytes)
            RESPCommandEncoder.argument(record.value, into: &bytes)
            return bytes
        }
        let summary = work.run(file)
        try self.report(summary)
        guard let status = Self.status(summary) else { return }
        guard let failure = summary.failure else { throw ExitCode(status.rawValue) }
        throw BenchError(status, failure.message)
    }

    /// How the program ends; `nil` when every record was written.
    static func status(_ summary: RecordWork.Summary) -> BenchError.Status? {
        if summary.tally.unknownCount > 0 { return .outcomeUnknown }
        if let failure = summary.failure {
            // A SET that was sent to a node that is gone may have been done.
            let isUnknown = failure.status == .unreachable && summary.hasUnanswered
            return isUnknown ? .outcomeUnknown : failure.status
        }
        return summary.tally.refusedCount > 0 ? .failed : nil
    }

    /// How many records need not be sent again when the work ended early: each of them was answered
    /// or skipped.
    static func resumeSkip(_ summary: RecordWork.Summary) -> Int? {
        guard summary.failure != nil else { return nil }
        return (summary.unfinished ?? summary.skipped + summary.records + 1) - 1
    }

    private func report(_ summary: RecordWork.Summary) throws {
        let resume = Self.resumeSkip(summary)
        let report = Report(
            records: summary.records,
            skipped: summary.skipped,
            acknowledged: summary.tally.doneCount,
            refused: summary.tally.refusedCount,
            repeatedKeys: summary.repeatedKeys,
            bytesRead: summary.bytesRead,
            valueBytes: summary.tally.doneByteCount,
            reconnects: summary.tally.reconnectCount,
            seconds: summary.seconds,
            recordsPerSecond: Double(summary.tally.doneCount) / summary.seconds,
            problems: summary.tally.problems,
            resumeSkip: resume,
            error: summary.failure?.message
        )
        guard !self.options.json else { return try Terminal.result(json: report) }
        Terminal.result(
            "\(Terminal.grouped(report.acknowledged)) of \(Terminal.grouped(report.records))"
                + " records written, \(Progress.size(report.valueBytes)) of values,"
                + " in \(Terminal.decimal(report.seconds)) s"
                + " (\(Terminal.grouped(Int(report.recordsPerSecond))) records/s);"
                + " \(Terminal.grouped(report.repeatedKeys)) repeated keys,"
                + " \(Terminal.grouped(report.refused)) refused"
        )
        for problem in report.problems {
            Terminal.note("record \(problem.record), line \(problem.line): \(problem.problem)\n")
        }
        if let resume { Terminal.note("go on with --skip \(resume)\n") }
    }
}
