import Glibc
import Logging
import NIOCore
import NIOPosix
import PrustCore
import PrustStorage
import PrustSystemd
import PrustTLS
import Synchronization
import UnixSignals

/// Starting, serving and stopping.
extension Node {
    /// Runs until SIGTERM or SIGINT; SIGHUP reloads.
    ///
    /// Throws what keeps the node from starting, as one line for the operator.
    package func run() async throws {
        let settings = self.settings
        self.logger.event(
            .started,
            metadata: ["version": "\(BuildInfo.version)", "node-id": "\(self.cluster.node)"]
        )
        self.notifier.notify(.status("starting"))
        self.diskThreads.start()
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        let earlySignals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let probes = try await self.bindProbes(settings.metricsListen)
        let interruption = Task { await self.endAtSignal(of: earlySignals) }
        let threads = try await self.openEngine()
        interruption.cancel()
        let loops = try await self.makeLoops()
        let services = try await self.bindServices(settings, loops)
        self.state.withLock { $0.phase = .serving }
        let status = "serving on \(settings.listen), node \(self.cluster.node.prefix(12))"
        self.notifier.notify(.ready, .status(status))
        self.logger.event(.ready, metadata: ["listen": "\(settings.listen)"])

        let heartbeat = Task { await self.feedWatchdog(loops) }
        for await signal in signals {
            guard signal == .sighup else { break }
            _ = try? await self.reload()
        }
        heartbeat.cancel()
        await self.shutDown(services + [probes], loops, threads)
    }

    /// Ends the process at once when it is told to stop while it recovers.
    ///
    /// Recovery may take minutes and cannot be told to hurry; it acknowledges nothing and, like a
    /// crash, may end at any point.
    private func endAtSignal(of signals: UnixSignalsSequence) async {
        for await _ in signals where !Task.isCancelled {
            self.notifier.notify(.stopping, .status("stopping during recovery"))
            self.logger.event(.stopping)
            self.logger.event(.stopped)
            _exit(0)
        }
    }

    // MARK: Engine

    struct EngineThreads {
        let log: SystemThread
        let maintenance: SystemThread
    }

    private func openEngine() async throws -> EngineThreads {
        self.logger.event(.recoveryStarted)
        try await self.diskThreads.runIfActive { try self.engine.open() }
        let engine = self.engine
        guard let log = SystemThread(name: "prust-log", body: { engine.runLog() }),
            let maintenance = SystemThread(name: "prust-sweep", body: { engine.runMaintenance() })
        else { throw StartError("the system has no thread left: see TasksMax= and ulimit -u") }
        return EngineThreads(log: log, maintenance: maintenance)
    }

    package struct StartError: Error, CustomStringConvertible {
        package let description: String

        init(_ description: String) {
            self.description = description
        }
    }

    // MARK: Event loops

    /// The loops with what their sessions share; the order is that of the group.
    struct Loops: Sendable {
        var states: [NIOLoopBound<LoopState>] = []
        var beats: [LoopBeat] = []
        var graves: [NIOLoopBound<ConnectionGrave>] = []
        var places: [ObjectIdentifier: Int] = [:]
    }

    private func makeLoops() async throws -> Loops {
        let settings = self.settings
        let audit = self.audit
        var bounds = SessionServices.Bounds()
        bounds.outputByteCountMax = settings.limits.outputBuffer
        bounds.pipelineCountMax = settings.limits.pipeline
        bounds.argumentCountMax = settings.limits.arguments
        bounds.idleTimeout = settings.limits.idleTimeout
        bounds.loginTimeout = settings.limits.loginTimeout
        bounds.stallTimeout = settings.limits.stallTimeout
        bounds.outputTotalByteCountMax = settings.limits.outputTotal
        let services = SessionServices(
            engine: self.engine,
            limits: bounds,
            access: self.accessStore.snapshot,
            verifier: self.verifier,
            audit: self.audit,
            metrics: self.serverMetrics,
            diskThreads: self.diskThreads,
            nodeDescription: SessionServices.NodeDescription(
                nodeID: self.cluster.node,
                port: settings.listen.port,
                startedAt: self.startedAt
            )
        )
        var loops = Loops()
        for (index, eventLoop) in self.group.makeIteratorArray().enumerated() {
            let (state, notifier, grave) = try await eventLoop.submit {
                let state = LoopState(index: index, eventLoop: eventLoop, services: services)
                let bound = NIOLoopBound(state, eventLoop: eventLoop)
                eventLoop.scheduleRepeatedTask(
                    initialDelay: .seconds(1),
                    delay: .seconds(1)
                ) { _ in
                    bound.value.closeIdle(now: Clocks.monotonic())
                    if index == 0 { audit.summarize() }
                }
                let grave = NIOLoopBound(
                    ConnectionGrave(eventLoop: eventLoop),
                    eventLoop: eventLoop
                )
                return (bound, LoopNotifier(state), grave)
            }.get()
            self.engine.addListener { notifier.notify() }
            services.add(state)
            loops.states.append(state)
            loops.beats.append(LoopBeat(eventLoop))
            loops.graves.append(grave)
            loops.places[ObjectIdentifier(eventLoop)] = index
        }
        return loops
    }

    // MARK: Watchdog

    private func feedWatchdog(_ loops: Loops) async {
        guard let interval = Watchdog.requestedInterval() else { return }
        let names = loops.beats.indices.map { "event-loop-\($0)" } + ["log-writer"]
        func progress() -> [UInt64] {
            loops.beats.map(\.count) + [self.engine.logHeartbeat]
        }
        var watchdog = Watchdog(
            interval: interval,
            names: names,
            progress: progress(),
            now: Clocks.monotonic()
        )
        for beat in loops.beats { beat.ask() }
        self.engine.flush()
        while !Task.isCancelled {
            try? await Task.sleep(for: watchdog.pollInterval)
            let decision = watchdog.poll(progress: progress(), now: Clocks.monotonic())
            if decision.feed { self.notifier.notify(.watchdog) }
            for index in decision.ask {
                if index < loops.beats.count {
                    loops.beats[index].ask()
                } else {
                    self.engine.flush()
                }
            }
            if decision.warn {
                let silent = decision.silent.joined(separator: " ")
                self.logger.event(.watchdogStarving, metadata: ["silent": "\(silent)"])
            }
        }
    }

    // MARK: The end

    /// Clients that still wait for replies; handshakes and the admin API are not waited for.
    private static func sessionCount(_ loops: Loops) async -> Int {
        var count = 0
        for state in loops.states {
            count += (try? await state.eventLoop.submit { state.value.sessionCount }.get()) ?? 0
        }
        return count
    }

    private func shutDown(
        _ channels: [any Channel],
        _ loops: Loops,
        _ threads: EngineThreads
    ) async {
        self.state.withLock { $0.phase = .stopping }
        self.logger.event(.stopping)
        let timeout = self.settings.shutdownDrainTimeout
        self.notifier.notify(
            .stopping,
            .status("stopping"),
            .extendTimeout(timeout + .seconds(30))
        )
        for channel in channels { try? await channel.close().get() }
        for state in loops.states { state.eventLoop.execute { state.value.drain() } }
        let deadline = Clocks.monotonic().nanoseconds + Int64(timeout / .nanoseconds(1))
        while await Self.sessionCount(loops) > 0, Clocks.monotonic().nanoseconds < deadline {
            try? await Task.sleep(for: .milliseconds(20))
        }
        self.engine.stop()
        try? await self.diskThreads.runIfActive {
            threads.log.join()
            threads.maintenance.join()
            self.engine.sweep()
            self.engine.close()
        }
        await self.verifier.stop()
        self.audit.summarize(all: true)
        try? await self.group.shutdownGracefully()
        try? await self.diskThreads.shutdownGracefully()
        self.logger.event(.stopped)
    }
}

extension MultiThreadedEventLoopGroup {
    /// The loops, each once.
    func makeIteratorArray() -> [any EventLoop] {
        var loops: [any EventLoop] = []
        for loop in self.makeIterator() { loops.append(loop) }
        return loops
    }
}
