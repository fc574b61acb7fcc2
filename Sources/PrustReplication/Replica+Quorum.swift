import PrustCore

/// Reads and writes at `quorum` and `all`, which need no primary, and writes at `eventual`.
extension Replica {
    /// Asks the members for what they hold (rules 23 and 25).
    mutating func startQuorum(
        _ operation: Operation<Function>,
        turn: inout Turn<some ReplicaStore>
    ) {
        self.quorumOperations[operation.id] = QuorumOperation(operation: operation)
        self.start(.query(operation.id), .query(operation.key), turn: &turn)
    }

    private func isEnough(_ set: MemberSet, _ round: Round, for level: Level) -> Bool {
        level == .all ? set == round.targets : self.isQuorum(set)
    }

    mutating func takeState(
        _ answer: Answer,
        _ operationID: OperationID,
        _ round: Round,
        _ id: RoundID,
        _ place: Int,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard case .state(let register, let floor) = answer,
            var pending = self.quorumOperations[operationID]
        else { return }
        var round = round
        self.clock.observe(register.version.hlc)
        if register.version > pending.highest.version { pending.highest = register }
        pending.floor = max(pending.floor, floor)
        self.quorumOperations[operationID] = pending
        round.agreed.insert(place)
        self.rounds[id] = round
        switch pending.operation.kind {
        case .read:
            let isHasty = self.flaw == .quorumReadFromOneMember
            guard isHasty || self.isEnough(round.agreed, round, for: pending.operation.level)
            else { return }
            self.rounds[id] = nil
            let highest = pending.highest
            self.finishQuorum(
                operationID,
                .read(
                    highest.content.isLive(at: turn.wall) ? highest.content : .tombstone,
                    highest.version
                ),
                turn: &turn
            )
        case .write(let content):
            guard self.isQuorum(round.agreed) else { return }
            self.rounds[id] = nil
            self.storeQuorum(pending, content, turn: &turn)
        case .apply:
            break
        }
    }

    /// Stores a version above everything that a quorum has seen; it is never restamped.
    private mutating func storeQuorum(
        _ pending: QuorumOperation,
        _ content: Content,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard let me = self.descriptor.member(self.storage) else { return }
        let key = pending.operation.key
        let own = turn.store.register(of: key).version
        let above = max(pending.highest.version, own)
        self.clock.observe(above.hlc)
        let version = Version(
            term: max(pending.floor, above.term),
            hlc: self.clock.next(wall: turn.wall),
            writer: 2 * me.index,
            count: 0
        )
        let register = Register(version: version, content: content, writtenAt: version.hlc)
        var mark: UInt64 = 0
        if self.flaw != .originSendsBeforeOwnStore {
            self.put(key, register, turn: &turn)
            mark = turn.store.mark(of: key)
        }
        self.quorumOperations[pending.operation.id]?.version = version
        self.start(
            .store(pending.operation.id),
            .store(key, register),
            after: mark,
            turn: &turn
        )
    }

    mutating func takeStored(
        _ answer: Answer,
        _ operationID: OperationID,
        _ round: Round,
        _ id: RoundID,
        _ place: Int,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard let pending = self.quorumOperations[operationID], let version = pending.version
        else { return }
        switch answer {
        case .stored:
            var round = round
            round.agreed.insert(place)
            self.rounds[id] = round
            guard self.isEnough(round.agreed, round, for: pending.operation.level) else { return }
            self.rounds[id] = nil
            self.finishQuorum(operationID, .written(version), turn: &turn)
        case .termTooLow:
            self.rounds[id] = nil
            self.finishQuorum(operationID, .unknown(.outbid), turn: &turn)
        default:
            return
        }
    }

    mutating func finishQuorum(
        _ id: OperationID,
        _ outcome: Outcome<Function>,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard let pending = self.quorumOperations.removeValue(forKey: id) else { return }
        self.finish(pending.operation, outcome, turn: &turn)
    }

    /// Ends everything at `quorum` and `all`: its rounds counted in another epoch.
    mutating func endQuorumOperations(turn: inout Turn<some ReplicaStore>) {
        let pending = self.quorumOperations
        self.quorumOperations = [:]
        for id in pending.keys.sorted() {
            guard let pending = pending[id] else { continue }
            let outcome: Outcome<Function> =
                pending.version == nil ? .notApplied(.newEpoch) : .unknown(.newEpoch)
            self.finish(pending.operation, outcome, turn: &turn)
        }
    }

    /// Stores here, answers when that is durable, and lets it spread (rule 24).
    mutating func writeEventually(
        _ operation: Operation<Function>,
        _ content: Content,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard let me = self.descriptor.member(self.storage) else { return }
        let own = turn.store.register(of: operation.key).version
        self.clock.observe(own.hlc)
        let version = Version(
            term: max(self.state.floor, own.term),
            hlc: self.clock.next(wall: turn.wall),
            writer: 2 * me.index,
            count: 0
        )
        let register = Register(version: version, content: content, writtenAt: version.hlc)
        self.put(operation.key, register, turn: &turn)
        let mark = turn.store.mark(of: operation.key)
        self.finish(operation, .written(version), after: mark, turn: &turn)
        for member in self.descriptor.everyone where member.storage != self.storage {
            self.send(.put(operation.key, register), to: member.storage, after: mark, turn: &turn)
        }
    }
}
