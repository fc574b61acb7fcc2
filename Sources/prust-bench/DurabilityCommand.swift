import ArgumentParser
import Dispatch
import Glibc
import NIOCore
import NIOPosix
import PrustCore
import PrustDBClient

/// `prust-bench durability`.
struct DurabilityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "durability",
        abstract: "Write, keep a journal of what was acknowledged, and check that it is there.",
        discussion: """
            Meant to run while the node is killed and restarted. Every value is unique. After each \
            reconnect what was written before is read back, at the end every key: each must hold \
            the last acknowledged write, or a later one whose acknowledgement did not come. Ends \
            after --duration or at SIGINT or SIGTERM. Exit status 1 when a write was lost or \
            changed.
            """
    )

    struct Report: Encodable {
        let keys: Int
        let connections: Int
        let seconds: Double
        let writesTried: Int
        let writesAcknowledged: Int
        let writesRefused: Int
        let writesUnknown: Int
        let readsChecked: Int
        let reconnects: Int
        let longestOutageMilliseconds: Int64
        let lost: Int
        let changed: Int
        let examples: [String]
        let error: String?
    }

    @OptionGroup var connection: ConnectionOptions

    @Option(help: "Keys in use, up to 100,000,000.")
    var keys = 100_000

    @Option(help: "Connections, 1 to 10,000; each owns a part of the keys.")
    var connections = 64

    @Option(help: "How long to write; until a signal by default.")
    var duration: DurationArgument?

    @Option(help: "Bytes of a value, or a range; at least 16.")
    var valueSize = SizeRangeArgument(16...512)

    @Option(help: "What all keys begin with.")
    var keyPrefix = "durability:"

    @Option(help: "How long the last check may take, the node's restart included.")
    var checkTimeout = DurationArgument(.seconds(120))

    @Option(help: "Another seed gives other values; random by default.")
    var seed: UInt64?

    @Flag(help: "Connect again when a connection is lost.")
    var reconnect = false

    @Flag(help: "Print the report as JSON.")
    var json = false

    func validate() throws {
        guard (1...10_000).contains(self.connections) else {
            throw ValidationError("--connections must be 1 to 10,000")
        }
        guard (self.connections...100_000_000).contains(self.keys) else {
            throw ValidationError("--keys must be --connections to 100,000,000")
        }
        let sizes = self.valueSize.range
        guard sizes.lowerBound >= 16, sizes.upperBound <= Limits.valueByteCountMax else {
            throw ValidationError("--value-size must be 16 to 16MiB")
        }
    }

    func run() throws {
        let seed = self.seed ?? UInt64.random(in: .min ... .max)
        let settings = DurabilityLane.Settings(
            target: try self.connection.target(),
            keyPrefix: "\(self.keyPrefix)\(seed):",
            keyCount: self.keys,
            laneCount: self.connections,
            value: JournalValue(seed: seed, sizes: self.valueSize.range),
            seed: seed,
            reconnects: self.reconnect
        )
        let startedAt = NIODeadline.now()
        let (result, isChecked) = try self.work(settings)
        let seconds = Double((NIODeadline.now() - startedAt).nanoseconds) / 1e9
        let late = isChecked ? nil : "the last check did not end within --check-timeout"
        let report = Report(
            keys: self.keys,
            connections: self.connections,
            seconds: seconds,
            writesTried: result.tried,
            writesAcknowledged: result.acknowledged,
            writesRefused: result.refused,
            writesUnknown: result.unknown,
            readsChecked: result.reads,
            reconnects: result.reconnects,
            longestOutageMilliseconds: result.longestOutageMilliseconds,
            lost: result.lost,
            changed: result.changed,
            examples: result.examples,
            error: result.failure ?? late
        )
        try self.show(report)
        if report.lost + report.changed > 0 { throw ExitCode(BenchError.Status.failed.rawValue) }
        if let error = report.error { throw BenchError(.unreachable, error) }
    }

    private func show(_ report: Report) throws {
        guard !self.json else { return try Terminal.result(json: report) }
        Terminal.result(
            "\(Terminal.grouped(report.writesAcknowledged)) writes acknowledged of"
                + " \(Terminal.grouped(report.writesTried)) tried"
                + " (\(Terminal.grouped(report.writesRefused)) refused,"
                + " \(Terminal.grouped(report.writesUnknown)) unknown),"
                + " \(Terminal.grouped(report.reconnects)) reconnects,"
                + " \(Terminal.grouped(report.readsChecked)) reads checked:"
                + " \(report.lost) lost, \(report.changed) changed"
        )
        for example in report.examples { Terminal.note("\(example)\n") }
    }

    private func work(
        _ settings: DurabilityLane.Settings
    ) throws -> (result: DurabilityLane.Result, isChecked: Bool) {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        let eventLoop = group.next()
        let lanes = try (0..<settings.laneCount).map { index in
            try eventLoop.submit {
                NIOLoopBound(
                    DurabilityLane(settings: settings, index: index, eventLoop: eventLoop),
                    eventLoop: eventLoop
                )
            }.wait()
        }
        do {
            for lane in lanes { try eventLoop.flatSubmit { lane.value.connect() }.wait() }
        } catch let error as ClientError {
            throw BenchError(error)
        }
        let ends = try eventLoop.submit { lanes.map { $0.value.ended } }.wait()
        let all = EventLoopFuture.andAllSucceed(ends, on: eventLoop)
        self.waitForEnd(orUntil: all)
        for lane in lanes { eventLoop.execute { lane.value.beginLastCheck() } }
        let isChecked = Self.wait(for: all, timeout: self.checkTimeout.duration.timeAmount)
        var result = DurabilityLane.Result()
        for lane in lanes { result.add(try eventLoop.submit { lane.value.close() }.wait()) }
        return (result, isChecked)
    }

    /// Waits for the duration or a signal, or until nothing is left that could write.
    private func waitForEnd(orUntil future: EventLoopFuture<Void>) {
        let ended = DispatchSemaphore(value: 0)
        future.whenComplete { _ in ended.signal() }
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { ended.signal() }
            source.resume()
            return source
        }
        defer { for source in sources { source.cancel() } }
        if let duration = self.duration {
            let nanoseconds = Int(min(duration.duration.nanoseconds, 1 << 62))
            _ = ended.wait(timeout: .now() + .nanoseconds(nanoseconds))
        } else {
            ended.wait()
        }
    }

    private static func wait(for future: EventLoopFuture<Void>, timeout: TimeAmount) -> Bool {
        let ended = DispatchSemaphore(value: 0)
        future.whenComplete { _ in ended.signal() }
        return ended.wait(timeout: .now() + .nanoseconds(Int(timeout.nanoseconds))) == .success
    }
}
