package import PrustCore

/// What a member answers.
extension Replica {
    /// Takes a message of another member, or of this one to itself.
    ///
    /// - Parameters:
    ///   - message: Decoded and within its bounds, from a member whose identity was checked.
    ///   - sender: The storage ID of that member.
    ///   - turn: The clocks, the records, and what is to be done.
    package mutating func receive(
        _ message: Message,
        from sender: StorageID,
        turn: inout Turn<some ReplicaStore>
    ) {
        self.learn(message.descriptor, turn: &turn)
        switch message.body {
        case .request(let round, let request):
            var mark = turn.store.mark
            let answer = self.answer(request, message.descriptor, turn: &turn, mark: &mark)
            self.send(.answer(round, answer), to: sender, after: mark, turn: &turn)
        case .answer(let round, let answer):
            self.take(
                answer,
                of: round,
                from: sender,
                turn: &turn
            )
        case .put(let key, let register):
            self.put(key, register, turn: &turn)
        case .learn:
            break
        }
    }

    func send(
        _ body: Message.Body,
        to storage: StorageID,
        after mark: UInt64,
        turn: inout Turn<some ReplicaStore>
    ) {
        let message = Message(descriptor: self.state.descriptor, body: body)
        turn.effects.append(.send(to: storage, message, after: mark))
    }

    /// Stores a record if its version is above the one that is there (rule 6).
    mutating func put(_ key: KeyID, _ register: Register, turn: inout Turn<some ReplicaStore>) {
        self.clock.observe(register.version.hlc)
        if register.version > turn.store.register(of: key).version { turn.store.put(key, register) }
    }

    /// Answers a request; `mark` says what must be durable before the answer may leave.
    private mutating func answer(
        _ request: Request,
        _ descriptor: Descriptor,
        turn: inout Turn<some ReplicaStore>,
        mark: inout UInt64
    ) -> Answer {
        let isOfEpoch = descriptor.epoch == self.state.descriptor.epoch && self.isMember
        if !isOfEpoch, !self.ignoresEpoch(of: request) { return .wrongEpoch }
        guard self.isPlausible(request) else { return .wrongEpoch }
        switch request {
        case .prepare(let ballot):
            return self.answerPrepare(ballot, turn: &turn, mark: &mark)
        case .accept(let ballot, let key, let register):
            return self.answerAccept(ballot, key, register, turn: &turn, mark: &mark)
        case .read(let ballot, let keys):
            if self.flaw != .readIgnoresPromise, let refusal = self.refusal(of: ballot) {
                return refusal
            }
            mark = self.mark(of: keys, turn.store)
            return .registers(keys.map { turn.store.register(of: $0) })
        case .confirm(let ballot, let versions):
            if let refusal = self.refusal(of: ballot) { return refusal }
            mark = self.mark(of: versions.map(\.key), turn.store)
            return .confirmed(
                versions.map { turn.store.register(of: $0.key).version == $0.version }
            )
        case .query(let key):
            return .state(turn.store.register(of: key), floor: self.state.floor)
        case .store(let key, let register):
            let isTooLow = register.version.term < self.state.floor
            if isTooLow, self.flaw != .storeWithoutPromiseCheck { return .termTooLow }
            self.put(key, register, turn: &turn)
            mark = self.mark(of: [key], turn.store)
            return .stored
        case .acceptDescriptor(let ballot, let next):
            return self.answerDescriptor(ballot, next, turn: &turn, mark: &mark)
        case .pull(let key):
            let page = turn.store.page(from: key, countMax: self.options.pageCountMax)
            return .page(page.records, next: page.next)
        case .queryReconciled(let ballot):
            if let refusal = self.refusal(of: ballot) { return refusal }
            return .reconciled(epoch: self.state.reconciledEpoch)
        }
    }

    private func ignoresEpoch(of request: Request) -> Bool {
        guard self.flaw == .quorumLevelWithoutEpochCheck, self.isMember else { return false }
        switch request {
        case .query, .store: return true
        case .prepare, .accept, .read, .confirm, .acceptDescriptor, .pull, .queryReconciled:
            return false
        }
    }

    /// What must be durable before records of some keys are told: they, and the promise without
    /// which they would not have been told.
    private func mark(of keys: [KeyID], _ store: some ReplicaStore) -> UInt64 {
        let start = self.flaw == .answersBeforePromiseDurable ? 0 : store.stateMark
        return keys.reduce(start) { max($0, store.mark(of: $1)) }
    }

    /// Whether a ballot can be one of the present epoch.
    ///
    /// A round near the end of its numbers is nobody's: to promise it would end all proposals.
    func isPlausible(_ ballot: Ballot) -> Bool {
        ballot.epoch == self.state.descriptor.epoch && ballot.round <= .max / 2
    }

    private func isPlausible(_ request: Request) -> Bool {
        switch request {
        case .prepare(let ballot), .accept(let ballot, _, _): self.isPlausible(ballot)
        case .acceptDescriptor(let ballot, let next):
            self.isPlausible(ballot) && self.isPlausible(next)
        case .read, .confirm, .query, .store, .pull, .queryReconciled: true
        }
    }

    /// Whether a descriptor can follow the present one.
    func isPlausible(_ next: Descriptor) -> Bool {
        next.epoch == self.state.descriptor.epoch &+ 1
    }

    /// Refuses what is not of the ballot promised last (rules 14 and 31).
    private func refusal(of ballot: Ballot) -> Answer? {
        if self.state.promised == ballot { return nil }
        return self.state.promised > ballot ? .outbid(self.state.promised) : .notPromised
    }

    private mutating func answerPrepare(
        _ ballot: Ballot,
        turn: inout Turn<some ReplicaStore>,
        mark: inout UInt64
    ) -> Answer {
        guard ballot >= self.state.promised else { return .outbid(self.state.promised) }
        self.promise(ballot, turn: &turn)
        // Everything that was accepted under lower ballots goes with the promise.
        mark = turn.store.mark
        return .promised(accepted: self.state.accepted, hlc: self.clock.last)
    }

    mutating func promise(_ ballot: Ballot, turn: inout Turn<some ReplicaStore>) {
        guard ballot > self.state.promised else { return }
        self.state.promised = ballot
        turn.store.save(self.state)
    }

    private mutating func answerAccept(
        _ ballot: Ballot,
        _ key: KeyID,
        _ register: Register,
        turn: inout Turn<some ReplicaStore>,
        mark: inout UInt64
    ) -> Answer {
        if ballot < self.state.promised, self.flaw != .acceptIgnoresPromise {
            return .outbid(self.state.promised)
        }
        self.promise(ballot, turn: &turn)
        let own = turn.store.register(of: key).version
        self.clock.observe(register.version.hlc)
        if register.version < own {
            mark = turn.store.mark
            return .superseded(own)
        }
        if register.version > own { turn.store.put(key, register) }
        mark = self.flaw == .acceptAckedBeforeDurable ? 0 : turn.store.mark
        return .accepted
    }

    private mutating func answerDescriptor(
        _ ballot: Ballot,
        _ next: Descriptor,
        turn: inout Turn<some ReplicaStore>,
        mark: inout UInt64
    ) -> Answer {
        guard ballot >= self.state.promised else { return .outbid(self.state.promised) }
        self.state.promised = ballot
        self.state.accepted = AcceptedDescriptor(ballot: ballot, descriptor: next)
        turn.store.save(self.state)
        mark = turn.store.mark
        if self.flaw == .acceptedDescriptorTakenForLearned { self.learn(next, turn: &turn) }
        return .descriptorAccepted
    }
}
