import PrustCore

/// Changing who the members are (rules 27 to 33).
extension Replica {
    /// Takes up a descriptor that was chosen (rule 29); older ones change nothing.
    mutating func learn(_ descriptor: Descriptor, turn: inout Turn<some ReplicaStore>) {
        guard descriptor.epoch > self.state.descriptor.epoch else { return }
        // What is under way counted its answers by places of the old descriptor.
        self.stepDown(.newEpoch, turn: &turn)
        self.rounds = [:]
        self.endQuorumOperations(turn: &turn)
        self.state.descriptor = descriptor
        self.state.accepted = nil
        turn.store.save(self.state)
        self.pulled = MemberSet()
        self.pullFrom = Array(repeating: .first, count: descriptor.members.count)
        turn.effects.append(.learned(descriptor))
        self.pull(turn: &turn)
    }

    /// Proposes other members: `stable(e, M)` to `joint(e+1, M, M2)` (rule 28).
    ///
    /// - Returns: False if this member cannot propose it now.
    package mutating func reconfigure(
        to next: [Member],
        turn: inout Turn<some ReplicaStore>
    ) -> Bool {
        let descriptor = self.state.descriptor
        guard self.mayPropose, !descriptor.isJoint,
            Descriptor.isValid(descriptor.members, next: next)
        else { return false }
        self.propose(
            Descriptor(epoch: descriptor.epoch + 1, members: descriptor.members, next: next),
            turn: &turn
        )
        return true
    }

    /// Ends a joint epoch with M2, once a majority of it has reconciled (rules 28 and 31).
    ///
    /// - Returns: False if this member cannot propose it now.
    package mutating func finalize(turn: inout Turn<some ReplicaStore>) -> Bool {
        let descriptor = self.state.descriptor
        guard self.mayPropose, descriptor.isJoint, let ballot = self.ballot else { return false }
        if self.flaw == .finalizesWithoutReconciling {
            self.propose(self.successor, turn: &turn)
            return true
        }
        self.primary?.isFinalizing = true
        self.start(.reconciled, .queryReconciled(ballot), turn: &turn)
        return true
    }

    /// Ends a joint epoch with M, as if nothing had been wanted (rule 28).
    ///
    /// - Returns: False if this member cannot propose it now.
    package mutating func abandonReconfiguration(turn: inout Turn<some ReplicaStore>) -> Bool {
        let descriptor = self.state.descriptor
        guard self.mayPropose, descriptor.isJoint else { return false }
        self.propose(
            Descriptor(epoch: descriptor.epoch + 1, members: descriptor.members),
            turn: &turn
        )
        return true
    }

    private var mayPropose: Bool {
        guard let primary = self.primary, primary.isLeading else { return false }
        return primary.proposed == nil && !primary.isFinalizing
            && self.state.descriptor.epoch < .max
    }

    /// M2 alone, in the next epoch.
    private var successor: Descriptor {
        Descriptor(epoch: self.state.descriptor.epoch + 1, members: self.state.descriptor.next)
    }

    /// Asks a quorum of the present descriptor to accept the next one (rule 27).
    mutating func propose(_ next: Descriptor, turn: inout Turn<some ReplicaStore>) {
        guard let ballot = self.primary?.ballot, self.primary?.proposed == nil else { return }
        self.primary?.proposed = next
        self.start(.descriptor(next), .acceptDescriptor(ballot, next), turn: &turn)
    }

    mutating func takeDescriptor(
        _ answer: Answer,
        _ next: Descriptor,
        _ round: Round,
        _ id: RoundID,
        _ place: Int,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard case .descriptorAccepted = answer else { return }
        var round = round
        round.agreed.insert(place)
        self.rounds[id] = round
        guard self.isQuorum(round.agreed) else { return }
        let old = self.state.descriptor
        self.primary?.proposed = nil
        self.learn(next, turn: &turn)
        let others = old.everyone + next.everyone.filter { old.place(of: $0.storage) == nil }
        for member in others where member.storage != self.storage {
            self.send(.learn, to: member.storage, after: turn.store.mark, turn: &turn)
        }
    }

    mutating func takeReconciled(
        _ answer: Answer,
        _ round: Round,
        _ id: RoundID,
        _ place: Int,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard case .reconciled(let epoch) = answer else { return }
        let descriptor = self.state.descriptor
        var round = round
        if epoch == descriptor.epoch { round.agreed.insert(place) }
        self.rounds[id] = round
        if descriptor.isMajorityOfNext(round.agreed) {
            self.rounds[id] = nil
            self.primary?.isFinalizing = false
            self.propose(self.successor, turn: &turn)
        } else if round.answered == round.targets {
            self.rounds[id] = nil
            self.primary?.isFinalizing = false
            turn.effects.append(.notReconfigured(epoch: descriptor.epoch))
        }
    }

    // MARK: Pulling

    /// Fetches all records from the members of M, page by page (rule 30).
    package mutating func pull(turn: inout Turn<some ReplicaStore>) {
        let descriptor = self.state.descriptor
        guard descriptor.isJoint, descriptor.isNext(self.storage),
            self.state.reconciledEpoch < descriptor.epoch
        else { return }
        if self.pullFrom.count != descriptor.members.count {
            // After a start: nothing counts that was pulled before.
            self.pulled = MemberSet()
            self.pullFrom = Array(repeating: .first, count: descriptor.members.count)
        }
        for place in descriptor.members.indices { self.pull(from: place, turn: &turn) }
    }

    private mutating func pull(from place: Int, turn: inout Turn<some ReplicaStore>) {
        guard !self.pulled.contains(place), let key = self.pullFrom[place] else { return }
        var target = MemberSet()
        target.insert(place)
        guard !self.rounds.values.contains(where: { $0.isPull(of: target) }) else { return }
        self.start(.pull, .pull(from: key), to: target, turn: &turn)
    }

    mutating func takePage(
        _ answer: Answer,
        _ id: RoundID,
        _ place: Int,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard case .page(let records, let next) = answer else { return }
        self.rounds[id] = nil
        for record in records { self.put(record.key, record.register, turn: &turn) }
        self.pullFrom[place] = next
        guard next == nil else { return self.pull(from: place, turn: &turn) }
        self.pulled.insert(place)
        let isHasty = self.flaw == .reconcilesWithOneMember
        guard isHasty || self.state.descriptor.isMajorityOfMembers(self.pulled) else { return }
        self.state.reconciledEpoch = self.state.descriptor.epoch
        turn.store.save(self.state)
    }
}
