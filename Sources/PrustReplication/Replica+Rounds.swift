package import PrustCore

/// Asking the other members, and asking again.
extension Replica {
    /// Asks the members of the present descriptor.
    @discardableResult
    mutating func start(
        _ kind: Round.Kind,
        _ request: Request,
        to targets: MemberSet? = nil,
        after mark: UInt64 = 0,
        turn: inout Turn<some ReplicaStore>
    ) -> RoundID {
        self.lastRound += 1
        let id = RoundID(boot: self.state.boot, number: self.lastRound)
        let round = Round(
            kind: kind,
            request: request,
            targets: targets ?? self.state.descriptor.all
        )
        self.rounds[id] = round
        self.send(round, id, after: mark, turn: &turn)
        self.resends.append((turn.now.advanced(by: self.options.resendAfter), id))
        return id
    }

    private func send(
        _ round: Round,
        _ id: RoundID,
        after mark: UInt64,
        turn: inout Turn<some ReplicaStore>
    ) {
        for (place, member) in self.state.descriptor.everyone.enumerated()
        where round.targets.contains(place) && !round.answered.contains(place) {
            self.send(
                .request(id, round.request),
                to: member.storage,
                after: mark,
                turn: &turn
            )
        }
    }

    /// When ``tick(turn:)`` is due, `nil` while nothing is under way.
    package var nextTick: MonotonicInstant? { self.resends.first?.at }

    /// Sends unanswered requests again and ends what has taken too long.
    ///
    /// - Returns: When to call again, `nil` while nothing is under way.
    package mutating func tick(
        turn: inout Turn<some ReplicaStore>
    ) -> MonotonicInstant? {
        var due = 0
        while due < self.resends.count, self.resends[due].at <= turn.now { due += 1 }
        let ids = self.resends.prefix(due).map(\.id)
        self.resends.removeFirst(due)
        for id in ids {
            guard var round = self.rounds[id] else { continue }
            if round.sendCount >= self.options.sendCountMax {
                self.rounds[id] = nil
                self.giveUp(round, turn: &turn)
                continue
            }
            round.sendCount += 1
            self.rounds[id] = round
            self.send(round, id, after: turn.store.mark, turn: &turn)
            self.resends.append((turn.now.advanced(by: self.options.resendAfter), id))
        }
        self.flush(turn: &turn)
        return self.resends.first?.at
    }

    /// Nobody who matters has answered.
    private mutating func giveUp(
        _ round: Round,
        turn: inout Turn<some ReplicaStore>
    ) {
        switch round.kind {
        case .prepare, .descriptor, .read:
            self.stepDown(.noQuorum, turn: &turn)
        case .accept(let key):
            // An accept that may have reached somebody is never left behind (rule 22).
            if self.flaw == .goesOnAfterUnresolved {
                self.leaveUnresolved(key, turn: &turn)
            } else {
                self.stepDown(.noQuorum, turn: &turn)
            }
        case .confirm(let keys):
            for (index, key) in keys.enumerated() where !round.keys[index].isDone {
                self.primary?.known[key] = nil
                self.primary?.keysToRead.append(key)
            }
        case .reconciled:
            self.primary?.isFinalizing = false
            turn.effects.append(.notReconfigured(epoch: self.state.descriptor.epoch))
        case .query(let id):
            self.finishQuorum(id, .notApplied(.noQuorum), turn: &turn)
        case .store(let id):
            self.finishQuorum(id, .unknown(.noQuorum), turn: &turn)
        case .pull:
            self.pull(turn: &turn)
        }
    }

    /// Forgets the rounds of the primary, or those of everybody.
    mutating func dropRounds(ofPrimaryOnly: Bool) {
        self.rounds = self.rounds.filter { entry in
            switch entry.value.kind {
            case .prepare, .accept, .read, .confirm, .descriptor, .reconciled: false
            case .query, .store, .pull: ofPrimaryOnly
            }
        }
    }

    /// Counts an answer.
    mutating func take(
        _ answer: Answer,
        of id: RoundID,
        from sender: StorageID,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard var round = self.rounds[id],
            let place = self.state.descriptor.place(of: sender),
            round.targets.contains(place), !round.answered.contains(place)
        else { return }
        switch answer {
        case .wrongEpoch, .notPromised:
            // Who is behind has learned from the request, and is asked again.
            return
        case .outbid(let ballot):
            guard self.isOfPrimary(round), self.isPlausible(ballot) else { return }
            self.state.promised = max(self.state.promised, ballot)
            turn.store.save(self.state)
            return self.stepDown(.steppedDown, turn: &turn)
        case .promised, .accepted, .superseded, .registers, .confirmed, .state, .stored,
            .termTooLow, .descriptorAccepted, .page, .reconciled:
            round.answered.insert(place)
        }
        self.rounds[id] = round
        switch round.kind {
        case .prepare:
            self.takePromise(answer, round, id, place, turn: &turn)
        case .accept(let key):
            self.takeAccepted(
                answer,
                key,
                round,
                id,
                place,
                turn: &turn
            )
        case .read(let keys):
            self.takeRegisters(
                answer,
                keys,
                round,
                id,
                place,
                turn: &turn
            )
        case .confirm(let keys):
            self.takeConfirmed(
                answer,
                keys,
                round,
                id,
                place,
                turn: &turn
            )
        case .descriptor(let next):
            self.takeDescriptor(
                answer,
                next,
                round,
                id,
                place,
                turn: &turn
            )
        case .reconciled:
            self.takeReconciled(answer, round, id, place, turn: &turn)
        case .query(let operation):
            self.takeState(
                answer,
                operation,
                round,
                id,
                place,
                turn: &turn
            )
        case .store(let operation):
            self.takeStored(answer, operation, round, id, place, turn: &turn)
        case .pull:
            self.takePage(answer, id, place, turn: &turn)
        }
        self.flush(turn: &turn)
    }

    private func isOfPrimary(_ round: Round) -> Bool {
        switch round.kind {
        case .prepare, .accept, .read, .confirm, .descriptor, .reconciled: true
        case .query, .store, .pull: false
        }
    }

    /// Whether a set of answers is a quorum of the present descriptor (rule 2).
    func isQuorum(_ set: MemberSet) -> Bool {
        let descriptor = self.state.descriptor
        switch self.flaw {
        case .jointWithMembersOnly: return descriptor.isMajorityOfMembers(set)
        case .jointWithNextOnly where descriptor.isJoint: return descriptor.isMajorityOfNext(set)
        default: return descriptor.isQuorum(set)
        }
    }
}
