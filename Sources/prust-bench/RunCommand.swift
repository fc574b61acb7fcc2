import ArgumentParser
import NIOCore
import NIOPosix
import PrustCore
import PrustDBClient

/// `prust-bench run`.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Put load on a node and report throughput and latency.",
        discussion: """
            Without --rate it is a closed loop: every connection keeps its pipeline full. With \
            --rate it is an open loop: operations are due at fixed moments, and latency counts \
            from there, so that a stall shows in full. Fill the keys first with
              prust-bench run --mix set=1 --distribution sequential --keys N --requests N
            Connections that are lost are made again. When no reply comes at all for --retry, the \
            run ends with what was measured and exit status 3.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    @Option(help: "Operations and their shares: get, set, incr, del, exists, ping.")
    var mix = MixArgument(shares: [(.get, 80), (.set, 20)])

    @Option(help: "Keys in use, up to 1,000,000,000.")
    var keys = 1_000_000

    @Option(help: "uniform, zipf, zipf:THETA (0 < THETA < 1) or sequential.")
    var distribution = DistributionArgument.uniform

    @Option(help: "Bytes of a value, or a range: 256, 1KiB, 100-4KiB.")
    var valueSize = SizeRangeArgument(256...256)

    @Option(help: "Part of each value that compresses away, 0 to 1.")
    var compressibility = 0.5

    @Option(help: "Connections, 1 to 10,000.")
    var connections = 64

    @Option(help: "Commands in flight on each connection, 1 to 10,000.")
    var pipeline = 1

    @Option(help: "How long to measure; 10s unless --requests is given.")
    var duration: DurationArgument?

    @Option(help: "How many operations to do instead.")
    var requests: Int?

    @Option(help: "How long to run before measuring.")
    var warmup = DurationArgument(.zero)

    @Option(help: "Operations a second, an open loop.")
    var rate: Int?

    @Option(
        help: ArgumentHelp(
            "How long to go on while the node sends no reply at all; 1s at least.",
            valueName: "time"
        )
    )
    var retry = DurationArgument(.seconds(30))

    @Option(help: "Event loops, 1 to 256.")
    var threads = 1

    @Option(help: "What all keys begin with.")
    var keyPrefix = "key:"

    @Option(help: "The same seed gives the same keys and values.")
    var seed: UInt64 = 1

    @Flag(help: "Print the report as JSON.")
    var json = false

    func validate() throws {
        func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws {
            guard range.contains(value) else {
                throw ValidationError(
                    "\(name) is \(value), \(range.lowerBound) to \(range.upperBound) is expected"
                )
            }
        }
        try check("--keys", self.keys, 1...1_000_000_000)
        try check("--connections", self.connections, 1...10_000)
        try check("--pipeline", self.pipeline, 1...10_000)
        try check("--threads", self.threads, 1...256)
        try check("--value-size", self.valueSize.range.upperBound, 0...Limits.valueByteCountMax)
        try check("--key-prefix", self.keyPrefix.utf8.count, 0...1_024)
        if let rate = self.rate { try check("--rate", rate, 1...100_000_000) }
        if let requests = self.requests { try check("--requests", requests, 1...1 << 40) }
        guard (0...1).contains(self.compressibility) else {
            throw ValidationError("--compressibility is a number from 0 to 1")
        }
        guard self.requests == nil || self.duration == nil else {
            throw ValidationError("--duration and --requests exclude each other")
        }
        guard self.requests == nil || self.warmup.duration == .zero else {
            throw ValidationError("--warmup goes with --duration")
        }
        guard self.connections >= self.threads else {
            throw ValidationError("--connections must be at least --threads")
        }
    }

    func run() throws {
        let plan = RunPlan(
            target: try self.connection.target(),
            mix: self.mix,
            distribution: self.distribution,
            keyCount: self.keys,
            keyPrefix: Array(self.keyPrefix.utf8),
            values: ValuePool(
                sizes: self.valueSize.range,
                compressibility: self.compressibility,
                seed: self.seed
            ),
            connectionCount: self.connections,
            pipelineDepth: self.pipeline,
            threadCount: self.threads,
            rate: self.rate,
            warmup: self.warmup.duration.timeAmount,
            duration: (self.duration?.duration ?? .seconds(10)).timeAmount,
            requestCount: self.requests,
            silenceMax: SilenceWatch.bound(retry: self.retry.duration),
            seed: self.seed
        )
        let report = try Runner(plan: plan).run()
        if self.json {
            try Terminal.result(json: report)
        } else {
            Terminal.result(report.table)
        }
        if let error = report.error { throw BenchError(.unreachable, error) }
        if !report.errors.isEmpty { throw ExitCode(BenchError.Status.failed.rawValue) }
    }
}

/// Steers the event loops of a run from the main thread.
struct Runner {
    let plan: RunPlan

    func run() throws -> RunReport {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: self.plan.threadCount)
        defer { try? group.syncShutdownGracefully() }
        let loops = try group.makeIterator().enumerated().map { index, eventLoop in
            try eventLoop.submit {
                let loop = RunLoop(plan: self.plan, index: index, eventLoop: eventLoop)
                return NIOLoopBound(loop, eventLoop: eventLoop)
            }.wait()
        }
        do {
            for loop in loops {
                try loop.eventLoop.flatSubmit { loop.value.connect() }.wait()
            }
        } catch let error as ClientError {
            throw BenchError(error)
        }
        return try self.measure(loops)
    }

    private func measure(_ loops: [NIOLoopBound<RunLoop>]) throws -> RunReport {
        var startedAt = NIODeadline.now()
        let ends = loops.map { loop in loop.eventLoop.flatSubmit { loop.value.start() } }
        let ended = EventLoopFuture.andAllSucceed(ends, on: loops[0].eventLoop)
        if self.plan.warmup > .zero {
            try Self.wait(for: ended, atMost: self.plan.warmup)
            for loop in loops {
                try loop.eventLoop.submit { loop.value.beginRecording() }.wait()
            }
            startedAt = .now()
        }
        if self.plan.requestCount == nil {
            try Self.wait(for: ended, atMost: self.plan.duration)
        } else {
            try ended.wait()
        }
        var all = Measurements()
        for loop in loops {
            all.add(try loop.eventLoop.submit { loop.value.stop() }.wait())
        }
        let nanoseconds = (NIODeadline.now() - startedAt).nanoseconds
        for loop in loops { try loop.eventLoop.submit { loop.value.close() }.wait() }
        try? ended.wait()
        return RunReport(self.plan, all, seconds: Double(max(nanoseconds, 1)) / 1e9)
    }

    /// Waits for this long, or until all loops have given the node up.
    private static func wait(
        for future: EventLoopFuture<Void>,
        atMost amount: TimeAmount
    ) throws {
        let promise = future.eventLoop.makePromise(of: Void.self)
        future.cascade(to: promise)
        future.eventLoop.scheduleTask(in: amount) { promise.succeed() }
        try promise.futureResult.wait()
    }
}
