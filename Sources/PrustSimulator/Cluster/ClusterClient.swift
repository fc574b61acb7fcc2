internal import PrustCore
internal import PrustReplication

/// What the clients do.
extension ClusterSimulation {
    /// A client makes its next call.
    mutating func act(_ client: Int) {
        guard !self.isCalm, self.history.entries.count < self.plan.operationCount else { return }
        let key = Int(self.random.pick(0...Int64(self.plan.keyCount - 1)))
        let (level, kind) = self.choose(key)
        let node = self.choose(level)
        let entry = self.call(key, level, kind, at: node)
        self.clients[client].entry = entry
        guard self.history.entries[entry].returnedAt == nil else {
            return self.rest(client)
        }
        self.events.add(
            .timeout(client: client, entry: entry),
            at: self.now + Self.clientTimeout
        )
    }

    private mutating func rest(_ client: Int) {
        self.clients[client].entry = nil
        let pause = self.random.pick(1...30) * Self.millisecond
        self.events.add(.client(client), at: self.now + pause)
    }

    private mutating func choose(
        _ key: Int
    ) -> (Level, Operation<SimulatedFunction>.Kind) {
        let share = Int(self.random.pick(0...99))
        let plan = self.plan
        if share < plan.quorumShare {
            return (self.random.pick(0...9) == 0 ? .all : .quorum, .write(self.freshContent()))
        }
        if share < plan.quorumShare + plan.eventualShare {
            return self.random.pick(0...4) == 0
                ? (.eventual, .read) : (.eventual, .write(self.freshContent()))
        }
        if share < plan.quorumShare + plan.eventualShare + plan.quorumReadShare {
            return (.quorum, .read)
        }
        switch self.random.pick(0...9) {
        case 0...3: return (.strong, .read)
        case 4: return (.strong, .write(self.freshContent()))
        case 5...6:
            let expected = self.random.pick(0...9) < 8 ? self.lastSeen(key) : nil
            let new = self.freshValue()
            return (.strong, .apply(.compareAndSet(expected: expected, new: new)))
        case 7: return (.strong, .apply(.setIfAbsent(self.freshValue())))
        case 8 where self.random.pick(0...2) == 0: return (.strong, .apply(.getAndDelete))
        default: return (.strong, .apply(.increment))
        }
    }

    private mutating func freshValue() -> Int64 {
        defer { self.nextValue += 1 }
        return self.nextValue * SimulatedValue.familyCount
    }

    private mutating func freshContent() -> Content {
        self.random.pick(0...19) == 0 ? .tombstone : SimulatedValue.content(self.freshValue())
    }

    /// What a client last saw or wrote, so that comparisons succeed now and then.
    private func lastSeen(_ key: Int) -> Int64? {
        for entry in self.history.entries.suffix(60).reversed() where entry.key == key {
            switch entry.result {
            case .read(let value, _): return value
            case .applied(let answer, _):
                guard case .apply(let function) = entry.kind else { continue }
                return function.next(answer.before).after
            case .written:
                guard case .write(let content) = entry.kind else { continue }
                return SimulatedValue.number(content.value)
            case .unknown, .notApplied: continue
            }
        }
        return nil
    }

    private mutating func choose(_ level: Level) -> Int {
        if level == .strong, self.random.pick(0...99) < Int64(self.plan.primaryShare),
            let primary = self.primaryNode()
        {
            return primary
        }
        if self.random.pick(0...99) < 97, let member = self.memberNode() { return member }
        return Int(self.random.pick(0...Int64(self.nodes.count - 1)))
    }

    /// Sends an operation to a node.
    ///
    /// - Returns: The number of its entry in the history.
    mutating func call(
        _ key: Int,
        _ level: Level,
        _ kind: Operation<SimulatedFunction>.Kind,
        at node: Int
    ) -> Int {
        let entry = self.history.call(
            History.Entry(key: key, level: level, kind: kind, calledAt: self.now)
        )
        self.floorsAtCall[entry] = self.floors[key]
        self.note("op \(entry) at n\(node): key \(key) \(level) \(kind)")
        guard self.nodes[node].isUp, self.nodes[node].pausedUntil <= self.now else {
            self.history.finish(entry, .notApplied, at: self.now)
            return entry
        }
        self.nodes[node].operations.insert(entry)
        let operation = Operation<SimulatedFunction>(
            id: OperationID(UInt64(entry)),
            key: Self.key(key),
            level: level,
            kind: kind,
            deadline: MonotonicInstant(nanoseconds: self.now + Self.clientTimeout)
        )
        self.turn(node) { replica, turn in
            if level == .strong, replica.ballot == nil { replica.prepare(turn: &turn) }
            replica.submit(operation, turn: &turn)
        }
        return entry
    }

    /// An outcome reaches the client, if it still waits.
    mutating func finish(_ entry: Int, _ outcome: Outcome<SimulatedFunction>, _ node: Int) {
        guard self.nodes[node].operations.remove(entry) != nil else { return }
        let client = self.clients.firstIndex { $0.entry == entry }
        let isLate =
            self.history.entries[entry].calledAt + Self.clientTimeout <= self.now
            || self.history.entries[entry].returnedAt != nil
        guard !isLate else { return }
        let result: History.Result
        switch outcome {
        case .read(let content, let version):
            result = .read(SimulatedValue.number(content.value), version)
        case .written(let version): result = .written(version)
        case .applied(let answer, let version): result = .applied(answer, version)
        case .notApplied: result = .notApplied
        case .unknown: result = .unknown
        }
        self.note("op \(entry) returns \(outcome)")
        self.digest(outcome)
        if result != .unknown {
            self.history.finish(entry, result, at: self.now)
            self.raiseFloor(entry)
        }
        if let client { self.rest(client) }
    }

    private mutating func digest(_ outcome: Outcome<SimulatedFunction>) {
        let version: Version
        switch outcome {
        case .read(_, let known), .written(let known), .applied(_, let known): version = known
        case .notApplied, .unknown: version = .zero
        }
        self.mix(UInt64(version.term.round) << 32 | UInt64(version.term.index))
        self.mix(version.hlc)
        self.mix(UInt64(version.writer) << 32 | UInt64(version.count))
    }

    /// Contract C3: what was acknowledged is seen by every later read at `strong` or `quorum`.
    private mutating func raiseFloor(_ index: Int) {
        let entry = self.history.entries[index]
        let version: Version
        switch entry.result {
        case .written(let known), .applied(_, let known):
            version = known
            let floor = self.floorsAtCall[index] ?? .zero
            let mustBeNew =
                if case .applied(let answer, _) = entry.result { answer.didWrite } else { true }
            if entry.level != .eventual, known < floor || (mustBeNew && known == floor) {
                self.violate("C3", "op \(index) wrote \(known), not above an acknowledged write")
            }
        case .read(_, let known):
            version = known
            if entry.level != .eventual, known < self.floorsAtCall[index] ?? .zero {
                self.violate(
                    "C3",
                    "op \(index) at \(entry.level) read \(known) below an acknowledged write"
                )
            }
            // A read at a lower level promises nothing about later ones.
            if entry.level != .strong { return }
        case .unknown, .notApplied: return
        }
        guard entry.level != .eventual else { return }
        self.floors[entry.key] = max(self.floors[entry.key], version)
    }
}
