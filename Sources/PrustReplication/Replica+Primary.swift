import PrustCore

/// Becoming primary, and ceasing to be it.
extension Replica {
    /// Tries to become primary of this epoch (rule 9).
    package mutating func prepare(
        turn: inout Turn<some ReplicaStore>
    ) {
        let descriptor = self.state.descriptor
        guard self.primary == nil, let me = descriptor.member(self.storage) else { return }
        let promised = self.state.promised
        let highest = max(promised, self.termToOutbid)
        let round = highest.epoch == descriptor.epoch ? highest.round : 0
        guard round < .max, highest.epoch <= descriptor.epoch else { return }
        let ballot =
            self.flaw == .ballotUsedAgain && promised.index == me.index && round > 0
            ? promised : Ballot(epoch: descriptor.epoch, round: round + 1, index: me.index)
        var primary = Primary(ballot: ballot)
        if self.flaw == .keepsKnownAcrossBallots { primary.known = self.leftovers.known }
        for operation in self.leftovers.operations {
            primary.lanes[operation.key, default: Lane()].queue.append(operation)
        }
        self.leftovers = Leftovers()
        self.primary = primary
        // Its own promise comes first: it keeps a crash from using the ballot again.
        self.promise(ballot, turn: &turn)
        self.start(.prepare, .prepare(ballot), after: turn.store.mark, turn: &turn)
    }

    mutating func takePromise(
        _ answer: Answer,
        _ round: Round,
        _ id: RoundID,
        _ place: Int,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard case .promised(let accepted, let hlc) = answer, var round = self.rounds[id],
            accepted.map({ self.isPlausible($0.descriptor) }) ?? true
        else { return }
        self.clock.observe(hlc)
        round.agreed.insert(place)
        self.rounds[id] = round
        if let accepted, accepted.ballot > self.primary?.accepted?.ballot ?? .zero {
            self.primary?.accepted = accepted
        }
        guard self.isQuorum(round.agreed) else { return }
        self.rounds[id] = nil
        self.primary?.isLeading = true
        if let accepted = self.primary?.accepted, self.flaw != .noDescriptorRecovery {
            // It may be chosen already, so it and no other may be proposed (rule 11).
            self.propose(accepted.descriptor, turn: &turn)
            return
        }
        for key in (self.primary?.lanes ?? [:]).keys.sorted() {
            self.pump(key, turn: &turn)
        }
    }

    /// Forgets everything that is not durable of a primary (rule 12).
    ///
    /// An operation that sent an accept may still take effect; the others certainly do not.
    mutating func stepDown(_ reason: Outcome<Function>.Reason, turn: inout Turn<some ReplicaStore>)
    {
        guard let primary = self.primary else { return }
        self.primary = nil
        self.dropRounds(ofPrimaryOnly: true)
        if self.flaw == .keepsKnownAcrossBallots { self.leftovers.known = primary.known }
        for key in primary.lanes.keys.sorted() {
            guard let lane = primary.lanes[key] else { continue }
            if let batch = lane.current, self.flaw == .retriesAfterLosingBallot {
                self.leftovers.operations += batch.operations
            } else if let batch = lane.current {
                let isSent = !batch.attempts.isEmpty
                for operation in batch.operations {
                    // A read that only settles what it found has no effect of its own.
                    self.finish(
                        operation,
                        isSent && operation.kind != .read ? .unknown(reason) : .notApplied(reason),
                        turn: &turn
                    )
                }
            }
            for operation in lane.queue {
                self.finish(operation, .notApplied(reason), turn: &turn)
            }
        }
        if let proposed = primary.proposed {
            turn.effects.append(.notReconfigured(epoch: proposed.epoch - 1))
        }
    }

    mutating func finish(
        _ operation: Operation<Function>,
        _ outcome: Outcome<Function>,
        after mark: UInt64 = 0,
        turn: inout Turn<some ReplicaStore>
    ) {
        self.operationCount -= 1
        turn.effects.append(.finish(operation.id, outcome, after: mark))
    }

    /// Takes an operation of a client.
    ///
    /// Operations at `strong` are taken only while this member is primary or on the way to it; all
    /// others by any member.
    package mutating func submit(
        _ operation: Operation<Function>,
        turn: inout Turn<some ReplicaStore>
    ) {
        self.operationCount += 1
        if self.operationCount > self.options.operationCountMax {
            return self.finish(operation, .notApplied(.overload), turn: &turn)
        }
        guard self.isMember else {
            return self.finish(operation, .notApplied(.notMember), turn: &turn)
        }
        switch (operation.level, operation.kind) {
        case (.strong, _), (_, .apply):
            guard self.primary != nil else {
                return self.finish(operation, .notApplied(.steppedDown), turn: &turn)
            }
            self.primary?.lanes[operation.key, default: Lane()].queue.append(operation)
            self.pump(operation.key, turn: &turn)
        case (.eventual, .read):
            let register = turn.store.register(of: operation.key)
            let mark = turn.store.mark(of: operation.key)
            let isLive = register.content.isLive(at: turn.wall)
            self.finish(
                operation,
                .read(isLive ? register.content : .tombstone, register.version),
                after: mark,
                turn: &turn
            )
        case (.eventual, .write(let content)):
            self.writeEventually(operation, content, turn: &turn)
        case (.quorum, _), (.all, _):
            self.startQuorum(operation, turn: &turn)
        }
        self.flush(turn: &turn)
    }
}
