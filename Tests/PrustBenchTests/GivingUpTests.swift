import Foundation
import NIOCore
import PrustWire
import Testing

@testable import prust_bench

/// How the work ends when the node is silent, gone, or refuses it.
@Suite struct GivingUpTests {
    static let values = ValuePool(sizes: 1...1, compressibility: 0.5, seed: 1)

    /// Loads three records, one SET at a time.
    static func load(to node: FakeNode, silenceMax: TimeAmount) throws -> RecordWork.Summary {
        let file = FileManager.default.temporaryDirectory
            .appending(path: "prust-bench-\(UUID()).jsonl")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n".utf8).write(to: file)
        var options = RecordOptions()
        options.file = file.path(percentEncoded: false)
        options.format = .jsonl
        options.keyFields = ["id"]
        options.prefix = ""
        options.skip = 0
        let system = try LaneSystem(
            settings: LaneSystem.Settings(
                target: node.target,
                connectionCount: 1,
                pipelineDepth: 1,
                threadCount: 1,
                patience: .zero,
                silenceMax: silenceMax,
                refusedCountMax: 0,
                judge: { _, reply in
                    guard case .error(let text) = reply else { return .done }
                    return .refused(String(buffer: text))
                },
                byteCountMax: 1
            )
        )
        var work = RecordWork(options: options, system: system, total: nil) { record in
            var bytes = ByteBuffer()
            RESPCommandEncoder.begin(argumentCount: 3, into: &bytes)
            RESPCommandEncoder.argument("SET", into: &bytes)
            RESPCommandEncoder.argument(record.key, into: &bytes)
            RESPCommandEncoder.argument(record.value, into: &bytes)
            return bytes
        }
        let input = try InputFile(path: options.file)
        return work.run(input)
    }

    static func run(
        on node: FakeNode,
        rate: Int?,
        requestCount: Int?,
        silenceMax: TimeAmount
    ) throws -> RunReport {
        let plan = RunPlan(
            target: node.target,
            mix: MixArgument(shares: [(.get, 1)]),
            distribution: .uniform,
            keyCount: 10,
            keyPrefix: [],
            values: Self.values,
            connectionCount: 2,
            pipelineDepth: 1,
            threadCount: 1,
            rate: rate,
            warmup: .zero,
            duration: .seconds(600),
            requestCount: requestCount,
            silenceMax: silenceMax,
            seed: 1
        )
        return try Runner(plan: plan).run()
    }

    @Test func aLoadEndsWhenItsNodeIsSilent() async throws {
        let node = try await FakeNode.start(.silence)
        let summary = try Self.load(to: node, silenceMax: .milliseconds(100))
        #expect(summary.failure?.status == .unreachable)
        #expect(summary.failure?.message == "no reply for 0.1 s, given up")
        #expect(summary.hasUnanswered)
        #expect(LoadCommand.status(summary) == .outcomeUnknown)
        #expect(LoadCommand.resumeSkip(summary) == 0)
        await node.stop()
    }

    @Test func aLoadEndsWhenItsNodeIsGone() async throws {
        let node = try await FakeNode.start(.leave)
        let summary = try Self.load(to: node, silenceMax: .seconds(60))
        #expect(summary.failure?.status == .unreachable)
        #expect(LoadCommand.status(summary) == .outcomeUnknown)
        #expect(LoadCommand.resumeSkip(summary) == 0)
        await node.stop()
    }

    @Test func aLoadGoesOnBehindTheLastRecordThatWasSent() async throws {
        let node = try await FakeNode.start(.reply("-ERR no space\r\n"))
        let summary = try Self.load(to: node, silenceMax: .seconds(60))
        #expect(summary.failure?.status == .failed)
        #expect(summary.records == 1)
        #expect(LoadCommand.status(summary) == .failed)
        #expect(LoadCommand.resumeSkip(summary) == 1)
        #expect(node.commandCount == 1)
        await node.stop()
    }

    @Test func aLoadThatIsAnsweredEndsWell() async throws {
        let node = try await FakeNode.start(.reply("+OK\r\n"))
        let summary = try Self.load(to: node, silenceMax: .seconds(60))
        #expect(summary.tally.doneCount == 3)
        #expect(LoadCommand.status(summary) == nil)
        #expect(LoadCommand.resumeSkip(summary) == nil)
        await node.stop()
    }

    @Test(arguments: [FakeNode.Answer.silence, .leave], [nil, 100] as [Int?])
    func aRunEndsWithoutReplies(answer: FakeNode.Answer, rate: Int?) async throws {
        for requestCount in [nil, 1_000] as [Int?] {
            let node = try await FakeNode.start(answer)
            let report = try Self.run(
                on: node,
                rate: rate,
                requestCount: requestCount,
                silenceMax: .milliseconds(100)
            )
            #expect(report.error == "no reply for 0.1 s, given up")
            #expect(report.count == 0)
            await node.stop()
        }
    }

    @Test func aRunThatIsAnsweredEndsWell() async throws {
        let node = try await FakeNode.start(.reply("$1\r\nv\r\n"))
        let report = try Self.run(
            on: node,
            rate: nil,
            requestCount: 20,
            silenceMax: .seconds(60)
        )
        #expect(report.error == nil)
        #expect(report.count == 20)
        await node.stop()
    }

    @Test func silenceIsOverAtItsBound() {
        let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
        var watch = SilenceWatch(bound: .seconds(2), now: start)
        for (seconds, isOver) in [(0, false), (1, false), (2, true), (3, true)] as [(Int64, Bool)] {
            #expect(watch.isOver(now: start + .seconds(seconds)) == isOver)
        }
        watch.reset(now: start + .seconds(1))
        #expect(!watch.isOver(now: start + .seconds(2)))
        #expect(watch.deadline == start + .seconds(3))
        #expect(SilenceWatch.bound(retry: .zero) == .seconds(1))
        #expect(SilenceWatch.bound(retry: .seconds(30)) == .seconds(30))
    }

    static let endings:
        [(
            failure: BenchError.Status?, hasUnanswered: Bool, unknownCount: Int, refusedCount: Int,
            status: BenchError.Status?
        )] = [
            (nil, false, 0, 0, nil),
            (nil, false, 0, 1, .failed),
            (nil, false, 1, 1, .outcomeUnknown),
            (.unreachable, false, 0, 0, .unreachable),
            (.unreachable, true, 0, 0, .outcomeUnknown),
            (.failed, true, 0, 101, .failed),
            (.notAllowed, true, 0, 101, .notAllowed),
            (.failed, false, 1, 101, .outcomeUnknown),
        ]

    @Test func aLoadSaysWhetherTheOutcomeIsKnown() {
        for ending in Self.endings {
            var summary = RecordWork.Summary()
            summary.failure = ending.failure.map { BenchError($0, "ended early") }
            summary.hasUnanswered = ending.hasUnanswered
            summary.tally.unknownCount = ending.unknownCount
            summary.tally.refusedCount = ending.refusedCount
            #expect(LoadCommand.status(summary) == ending.status, "\(ending)")
        }
    }

    @Test func answersThatLeaveTheOutcomeOpenAreCounted() {
        let board = LaneBoard(refusedCountMax: 9)
        let record = Record(number: 1, line: 1, key: [1], value: [])
        board.refused(record, "UNKNOWN the log failed")
        board.refused(record, "ERR unknown command")
        #expect(board.current.refusedCount == 2)
        #expect(board.current.unknownCount == 1)
    }
}
