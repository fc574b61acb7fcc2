import NIOCore
private import PrustCore
private import PrustWire
private import Synchronization

/// Runs the ``ConnectionPool``: translates what happens to its inputs and its actions to work.
///
/// Any thread may call it. The lock is held for the pool's decision only; the actions run after.
final class PoolDriver: Sendable {
    private struct State {
        var pool: ConnectionPool
        /// The ready connection of each place.
        var connections: [Connection?]
        var waiting: [UInt64: Call] = [:]
        /// When the timer of the waiting calls fires.
        var armedAt: NIODeadline?
        var turns: NodeTurns
        var isClosed = false
    }

    private let group: any EventLoopGroup
    private let eventLoop: any EventLoop
    private let dialer: Dialer
    private let configuration: ClientConfiguration
    private let bounds: RESPReplyParser.Bounds
    private let state: Mutex<State>
    private let callCounter = Atomic<UInt64>(0)

    /// A driver that does nothing yet.
    ///
    /// - Parameters:
    ///   - nodes: Where to connect to; the next one is tried when one fails. At least one.
    ///   - dialer: Makes the connections.
    ///   - configuration: Bounds, validated.
    ///   - group: Event loops of the connections.
    init(
        nodes: [NodeAddress],
        dialer: Dialer,
        configuration: ClientConfiguration,
        group: any EventLoopGroup
    ) {
        self.dialer = dialer
        self.configuration = configuration
        self.group = group
        self.eventLoop = group.next()
        var bounds = RESPReplyParser.Bounds()
        bounds.bulkByteCountMax = configuration.valueByteCountMax
        self.bounds = bounds
        var settings = ConnectionPool.Settings()
        settings.connectionCountMin = configuration.connectionCountMin
        settings.connectionCountMax = configuration.connectionCountMax
        settings.pipelineDepthMax = configuration.pipelineDepthMax
        settings.waitingCountMax = configuration.waitingCountMax
        settings.growthThreshold = max(1, min(64, configuration.pipelineDepthMax / 2))
        settings.backoffMin = configuration.backoffMin
        settings.backoffMax = max(configuration.backoffMin, configuration.backoffMax)
        let connections = [Connection?](repeating: nil, count: settings.connectionCountMax)
        self.state = Mutex(
            State(
                pool: ConnectionPool(settings: settings),
                connections: connections,
                turns: NodeTurns(nodes)
            )
        )
    }

    func start() {
        self.run(self.state.withLock { $0.pool.start() })
    }

    /// Runs a command to its end.
    ///
    /// - Parameters:
    ///   - command: The command.
    ///   - deadline: How long it may take, from now.
    /// - Returns: The reply, or why there is none.
    func perform(_ command: Command, deadline: Duration?) async -> CallResult {
        let timeout = deadline ?? self.configuration.deadline
        let call = Call(
            id: self.callCounter.wrappingAdd(1, ordering: .relaxed).newValue,
            command: command,
            deadline: .now() + timeout.timeAmount
        )
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                call.install(continuation)
                if !call.isEnded { self.submit(call) }
            }
        } onCancel: {
            call.fail(ClientError(.cancelled, "the task was cancelled"))
            self.withdraw(call)
        }
    }

    /// Ends everything, at the deadline at the latest.
    func close(deadline: Duration) async {
        let connections = self.shut(deadline: deadline)
        for connection in connections { try? await connection.channel.closeFuture.get() }
    }

    /// Starts to end everything; calls under way go on until the deadline.
    @discardableResult
    func shut(deadline: Duration) -> [Connection] {
        let limit = NIODeadline.now() + deadline.timeAmount
        let (actions, connections) = self.state.withLock { state in
            state.isClosed = true
            let connections = state.connections.compactMap { $0 }
            return (state.pool.close(), connections)
        }
        self.run(actions)
        for connection in connections { connection.drain(deadline: limit) }
        return connections
    }
}

extension PoolDriver {
    private func submit(_ call: Call) {
        let (submission, connection) = self.state.withLock { state in
            let instant = MonotonicInstant(nanoseconds: Int64(call.deadline.uptimeNanoseconds))
            let submission = state.pool.submit(call.id, deadline: instant)
            switch submission.placement {
            case .send(let id): return (submission, state.connections[id.slot])
            case .wait: state.waiting[call.id] = call
            case .reject: break
            }
            return (submission, nil)
        }
        switch submission.placement {
        case .send:
            // Between the pool's decision and now the connection may have been lost, and the pool
            // knows; so another decision is another connection.
            if connection?.submit(call) != true { self.submit(call) }
        case .wait:
            self.arm(at: call.deadline)
            if call.isEnded { self.withdraw(call) }
        case .reject(.closed):
            call.fail(Self.closedError)
        case .reject(.overloaded):
            let count = self.configuration.waitingCountMax
            let message = "\(count) calls wait already (waitingCountMax)"
            call.fail(ClientError(.overloaded, message))
        }
        if let id = submission.open { self.open(id) }
    }

    private func withdraw(_ call: Call) {
        self.state.withLock { state in
            if state.pool.withdraw(call.id) { state.waiting[call.id] = nil }
        }
    }

    private static let closedError = ClientError(.closed, "the client is closed")

    private func run(_ actions: [ConnectionPool.Action]) {
        for action in actions {
            switch action {
            case .open(let id):
                self.open(id)
            case .retry(let id, let pause):
                self.eventLoop.scheduleTask(in: pause.timeAmount) {
                    self.run(self.state.withLock { $0.pool.retryDue(id) })
                }
            case .send(let callID, let id):
                let (call, connection) = self.state.withLock { state in
                    (state.waiting.removeValue(forKey: callID), state.connections[id.slot])
                }
                guard let call else { continue }
                if connection?.submit(call) != true { self.submit(call) }
            case .failUnreachable(let callID):
                let (call, error) = self.state.withLock { state in
                    (state.waiting.removeValue(forKey: callID), state.turns.error)
                }
                call?.fail(error ?? ClientError(.connectionLost, "no connection"))
            case .failClosed(let callID):
                let call = self.state.withLock { $0.waiting.removeValue(forKey: callID) }
                call?.fail(Self.closedError)
            case .drain, .discard:
                // The connections to drain are told by `shut`, those to discard by `adopt`.
                break
            }
        }
    }

    /// Sees to it that waiting calls end by this moment.
    private func arm(at deadline: NIODeadline) {
        let isNeeded = self.state.withLock { state in
            if let armedAt = state.armedAt, armedAt <= deadline { return false }
            state.armedAt = deadline
            return true
        }
        guard isNeeded else { return }
        self.eventLoop.scheduleTask(deadline: deadline) { self.expire(firedAt: deadline) }
    }

    private func expire(firedAt: NIODeadline) {
        let now = NIODeadline.now()
        let (calls, next, isConnected, cause) = self.state.withLock { state in
            if state.armedAt == firedAt { state.armedAt = nil }
            let instant = MonotonicInstant(nanoseconds: Int64(now.uptimeNanoseconds))
            let (expired, next) = state.pool.expire(now: instant)
            let calls = expired.compactMap { state.waiting.removeValue(forKey: $0) }
            let isConnected = state.pool.isConnected
            return (calls, next, isConnected, isConnected ? nil : state.turns.error)
        }
        let message =
            isConnected
            ? "no connection had room before the deadline"
            : "no connection before the deadline" + (cause.map { ": \($0.message)" } ?? "")
        for call in calls { call.fail(ClientError(.timeout, message, cause: cause)) }
        if let next { self.arm(at: .uptimeNanoseconds(UInt64(max(0, next.nanoseconds)))) }
    }
}

extension PoolDriver {
    private func open(_ id: ConnectionPool.ConnectionID) {
        let node = self.state.withLock { $0.turns.node(slot: id.slot) }
        let eventLoop = self.group.next()
        self.dialer.dial(node, on: eventLoop).whenComplete { result in
            switch result {
            case .success(let channel): self.adopt(channel, of: node, id: id)
            case .failure(let error): self.dialFailed(id, node, Dialer.clientError(error))
            }
        }
    }

    /// Takes a new channel into the pool, on the channel's event loop.
    private func adopt(
        _ channel: any Channel,
        of node: NodeAddress,
        id: ConnectionPool.ConnectionID
    ) {
        let handler = ConnectionHandler(
            owner: self,
            bounds: self.bounds,
            stallTimeout: self.configuration.deadline.timeAmount
        )
        let connection = Connection(id: id, channel: channel, handler: handler)
        do {
            try channel.pipeline.syncOperations.addHandler(handler)
        } catch {
            channel.close(promise: nil)
            return self.dialFailed(id, node, Dialer.clientError(error))
        }
        let actions = self.state.withLock { state in
            let actions = state.pool.connected(id)
            if !actions.contains(.discard(id)) {
                state.connections[id.slot] = connection
                state.turns.succeeded()
            }
            return actions
        }
        guard !actions.contains(.discard(id)) else { return channel.close(promise: nil) }
        handler.attach(connection)
        self.run(actions)
    }

    private func dialFailed(
        _ id: ConnectionPool.ConnectionID,
        _ node: NodeAddress,
        _ error: ClientError
    ) {
        let actions = self.state.withLock { state in
            state.turns.failed(node, error)
            return state.pool.connectFailed(
                id,
                isHopeless: state.turns.isHopeless,
                random: UInt64.random(in: .min ... .max)
            )
        }
        self.run(actions)
    }
}

extension PoolDriver: ConnectionHandler.Owner {
    func finished(_ connection: Connection, count: Int) {
        self.run(self.state.withLock { $0.pool.finished(connection.id, count: count) })
    }

    func lost(_ connection: Connection) {
        let actions = self.state.withLock { state in
            let slot = connection.id.slot
            if state.connections[slot] === connection { state.connections[slot] = nil }
            return state.pool.lost(connection.id, random: UInt64.random(in: .min ... .max))
        }
        self.run(actions)
    }

    func unfinished(_ calls: [Call], error: ClientError) {
        let sentCountMax = self.configuration.readAttemptCountMax
        let isClosed = self.state.withLock { $0.isClosed }
        for call in calls {
            switch call.connectionLost(
                isClosed ? Self.closedError : error,
                sentCountMax: sentCountMax
            ) {
            case .ended: break
            case .resubmit: self.submit(call)
            }
        }
    }
}
