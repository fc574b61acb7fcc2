import PrustCore

/// Operations at `strong`: one batch at a time for each key, at the primary (rules 13 to 22).
extension Replica {
    /// How far the base of a computation is settled.
    private enum Standing {
        /// Written or confirmed under this ballot before; a quorum may have moved on.
        case known
        /// A quorum holds exactly this, asked after the operations came.
        case settled
        /// The highest of a quorum's records, which may differ.
        case found
    }

    /// Begins the next batch of a key if there is one and nothing is under way.
    mutating func pump(
        _ key: KeyID,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard self.isLeading, var lane = self.primary?.lanes[key], lane.current == nil else {
            return
        }
        guard let first = lane.queue.first else {
            self.primary?.lanes[key] = nil
            return
        }
        // Blind writes share a round with each other, and so does everything that needs a base.
        let isBlind = Self.isBlind(first)
        let count = lane.queue.prefix(self.options.batchCountMax)
            .prefix { Self.isBlind($0) == isBlind }.count
        lane.current = Batch(operations: Array(lane.queue.prefix(count)))
        lane.queue.removeFirst(count)
        self.primary?.lanes[key] = lane
        self.execute(key, turn: &turn)
    }

    private static func isBlind(_ operation: Operation<Function>) -> Bool {
        if case .write = operation.kind { return true }
        return false
    }

    /// Puts a batch on its way; ``flush(turn:)`` sends what it needs.
    private mutating func execute(_ key: KeyID, turn: inout Turn<some ReplicaStore>) {
        guard let batch = self.primary?.lanes[key]?.current, let first = batch.operations.first
        else { return }
        if Self.isBlind(first) {
            self.primary?.keysToSet.append(key)
        } else if self.primary?.known[key] != nil {
            self.primary?.keysToConfirm.append(key)
        } else {
            self.primary?.keysToRead.append(key)
        }
    }

    /// Sends what has gathered in this turn: one message for the reads of many keys, and one for
    /// their confirmations.
    mutating func flush(turn: inout Turn<some ReplicaStore>) {
        while let primary = self.primary, primary.isLeading {
            self.primary?.keysToPump = []
            for key in primary.keysToPump { self.pump(key, turn: &turn) }
            let sets = self.primary?.keysToSet ?? []
            let confirms = self.primary?.keysToConfirm ?? []
            self.primary?.keysToSet = []
            self.primary?.keysToConfirm = []
            for key in sets { self.set(key, turn: &turn) }
            self.confirm(confirms, turn: &turn)
            let reads = self.primary?.keysToRead ?? []
            self.primary?.keysToRead = []
            if !reads.isEmpty {
                self.start(.read(reads), .read(primary.ballot, reads), turn: &turn)
            }
            if primary.keysToPump.isEmpty, sets.isEmpty, confirms.isEmpty, reads.isEmpty { return }
        }
    }

    /// Computes on what is known, and asks whether it still holds where that matters (rule 19).
    private mutating func confirm(_ keys: [KeyID], turn: inout Turn<some ReplicaStore>) {
        guard let ballot = self.primary?.ballot else { return }
        var versions: [KeyVersion] = []
        for key in keys {
            guard let known = self.primary?.known[key] else {
                self.primary?.keysToRead.append(key)
                continue
            }
            // What writes needs no confirmation: its version comes right after the base.
            if self.work(key, on: known, .known, turn: &turn) {
                versions.append(KeyVersion(key: key, version: known.version))
            }
        }
        guard !versions.isEmpty else { return }
        self.start(.confirm(versions.map(\.key)), .confirm(ballot, versions), turn: &turn)
    }

    // MARK: Computing

    /// Computes a batch on a base and writes or answers.
    ///
    /// - Returns: Whether the base must be confirmed first.
    private mutating func work(
        _ key: KeyID,
        on base: Register,
        _ standing: Standing,
        turn: inout Turn<some ReplicaStore>
    ) -> Bool {
        guard let batch = self.primary?.lanes[key]?.current else { return false }
        guard self.hasCounts(after: base.version, turn: &turn) else { return false }
        var content = base.content
        var isChanged = false
        if content.value != nil, !content.isLive(at: turn.wall) {
            // The primary decides once that a key has expired (rule 36).
            content = .tombstone
            isChanged = true
        }
        var results: [Outcome<Function>] = []
        for operation in batch.operations {
            switch operation.kind {
            case .read, .write:
                results.append(.read(content, base.version))
            case .apply(let function):
                let (write, answer) = function.apply(to: content, at: turn.wall)
                if let write {
                    content = write.isLive(at: turn.wall) ? write : .tombstone
                    isChanged = true
                }
                results.append(.applied(answer, base.version))
            }
        }
        if isChanged {
            let attempt = Batch.Attempt(
                version: self.nextVersion(after: base.version, turn: &turn),
                content: content,
                outcomes: results
            )
            self.accept(key, attempt, turn: &turn)
            return false
        }
        switch standing {
        case .known where !self.skipsConfirmation(of: batch):
            return true
        case .found where self.flaw != .noWriteBackOnMixedAnswers:
            // A record that only some hold becomes everybody's before anyone is told of it.
            let attempt = Batch.Attempt(
                version: self.nextVersion(after: base.version, turn: &turn),
                content: base.content,
                outcomes: results
            )
            self.accept(key, attempt, turn: &turn)
            return false
        case .known, .settled, .found:
            self.end(key, results, turn: &turn)
            return false
        }
    }

    private func skipsConfirmation(of batch: Batch) -> Bool {
        switch self.flaw {
        case .noConfirm: true
        case .failingCompareWithoutConfirm: batch.operations.contains { $0.kind != .read }
        default: false
        }
    }

    /// Gives the ballot up if its counts are used up: the next one begins anew.
    private mutating func hasCounts(
        after base: Version,
        turn: inout Turn<some ReplicaStore>
    ) -> Bool {
        guard let primary = self.primary else { return false }
        let count = base.term == primary.ballot ? base.count : 0
        if max(count, primary.issuedCount) < .max { return true }
        self.yield(to: primary.ballot, turn: &turn)
        return false
    }

    /// The version of a read-modify-write or write-back: right after its base (rule 16).
    private mutating func nextVersion(
        after base: Version,
        turn: inout Turn<some ReplicaStore>
    ) -> Version {
        guard var primary = self.primary, let me = self.descriptor.member(self.storage) else {
            preconditionFailure("a version is issued without a ballot")
        }
        let ballot = primary.ballot
        if self.flaw == .freshTimeForRMW {
            let time = self.clock.next(wall: turn.wall)
            return Version(term: ballot, hlc: time, writer: 2 * me.index + 1, count: 0)
        }
        let isOwn = base.term == ballot
        let isAbove = base.term > ballot && self.flaw == .buildsOnRecordAboveBallot
        let issued = self.flaw == .versionUsedTwice ? 0 : primary.issuedCount
        let count = max(isOwn || isAbove ? base.count : 0, issued) + 1
        primary.issuedCount = max(count, primary.issuedCount)
        self.primary = primary
        if isOwn || isAbove {
            return Version(term: base.term, hlc: base.hlc, writer: base.writer, count: count)
        }
        return Version(term: ballot, hlc: 0, writer: 0, count: count)
    }

    /// Blind writes: the last one of the batch stands for all (rule 18).
    private mutating func set(
        _ key: KeyID,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard let primary = self.primary, let me = self.descriptor.member(self.storage),
            let operations = primary.lanes[key]?.current?.operations,
            case .write(let content)? = operations.last?.kind
        else { return }
        let isShared = self.flaw == .setAndQuorumWriteShareWriter
        let version = Version(
            term: primary.ballot,
            hlc: self.clock.next(wall: turn.wall),
            writer: 2 * me.index + (isShared ? 0 : 1),
            count: 0
        )
        let attempt = Batch.Attempt(
            version: version,
            content: content,
            outcomes: operations.map { _ in .written(version) }
        )
        self.accept(key, attempt, turn: &turn)
    }

    // MARK: Accept

    private mutating func accept(
        _ key: KeyID,
        _ attempt: Batch.Attempt,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard let ballot = self.primary?.ballot else { return }
        // Until it is chosen, nothing is known of the key (rule 15).
        self.primary?.known[key] = nil
        self.primary?.lanes[key]?.current?.attempts.append(attempt)
        let register = Register(
            version: attempt.version,
            content: attempt.content,
            writtenAt: self.clock.next(wall: turn.wall)
        )
        self.start(
            .accept(key),
            .accept(ballot, key, register),
            turn: &turn
        )
    }

    mutating func takeAccepted(
        _ answer: Answer,
        _ key: KeyID,
        _ round: Round,
        _ id: RoundID,
        _ place: Int,
        turn: inout Turn<some ReplicaStore>
    ) {
        var round = round
        switch answer {
        case .accepted: round.agreed.insert(place)
        case .superseded(let version):
            round.superseded.insert(place)
            round.highest = max(round.highest, version)
            self.clock.observe(version.hlc)
        default: return
        }
        self.rounds[id] = round
        guard case .accept(_, _, let register) = round.request else { return }
        if self.isQuorum(round.agreed) {
            self.rounds[id] = nil
            self.chosen(key, register, turn: &turn)
        } else if round.highest.term > self.primary?.ballot ?? .zero,
            self.flaw != .buildsOnRecordAboveBallot
        {
            self.yield(to: round.highest.term, turn: &turn)
        } else if !round.superseded.isEmpty,
            self.isQuorum(round.agreed.union(round.superseded))
        {
            // Somebody wrote something newer (rules 18 and 21).
            self.rounds[id] = nil
            self.restart(key, turn: &turn)
        }
    }

    private mutating func restart(_ key: KeyID, turn: inout Turn<some ReplicaStore>) {
        guard var batch = self.primary?.lanes[key]?.current else { return }
        batch.restartCount += 1
        guard batch.restartCount <= Self.restartCountMax else {
            return self.stepDown(.noQuorum, turn: &turn)
        }
        self.primary?.lanes[key]?.current = batch
        self.execute(key, turn: &turn)
    }

    /// Times that newer records may come in between before the ballot is given up.
    private static var restartCountMax: Int { 25 }

    private mutating func chosen(
        _ key: KeyID,
        _ register: Register,
        turn: inout Turn<some ReplicaStore>
    ) {
        self.remember(key, register)
        guard let batch = self.primary?.lanes[key]?.current,
            let attempt = batch.attempts.last(where: { $0.version == register.version })
        else { return }
        self.end(
            key,
            attempt.outcomes.map { $0.with(register.version) },
            turn: &turn
        )
    }

    private mutating func remember(_ key: KeyID, _ register: Register) {
        if let count = self.primary?.known.count, count >= self.options.knownCountMax {
            self.primary?.known.removeAll(keepingCapacity: true)
        }
        self.primary?.known[key] = register
    }

    /// Ends the batch of a key and lets the next one begin at the end of the turn.
    mutating func end(
        _ key: KeyID,
        _ outcomes: [Outcome<Function>],
        turn: inout Turn<some ReplicaStore>
    ) {
        guard let batch = self.primary?.lanes[key]?.current else { return }
        self.primary?.lanes[key]?.current = nil
        self.primary?.keysToPump.append(key)
        for (operation, outcome) in zip(batch.operations, outcomes) {
            self.finish(operation, outcome, turn: &turn)
        }
    }

    /// The flaw of going on after an accept that nobody has answered.
    mutating func leaveUnresolved(_ key: KeyID, turn: inout Turn<some ReplicaStore>) {
        guard let batch = self.primary?.lanes[key]?.current else { return }
        self.end(key, batch.operations.map { _ in .unknown(.noQuorum) }, turn: &turn)
    }

    /// Gives way to a record whose term is above this ballot (rule 17).
    mutating func yield(to term: Ballot, turn: inout Turn<some ReplicaStore>) {
        self.termToOutbid = max(self.termToOutbid, term)
        self.stepDown(.steppedDown, turn: &turn)
    }

    // MARK: Read and Confirm

    mutating func takeRegisters(
        _ answer: Answer,
        _ keys: [KeyID],
        _ round: Round,
        _ id: RoundID,
        _ place: Int,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard case .registers(let registers) = answer, registers.count == keys.count else { return }
        var round = round
        for (index, register) in registers.enumerated() {
            self.clock.observe(register.version.hlc)
            let isFirst = round.agreed.isEmpty
            if !isFirst, register.version != round.keys[index].highest.version {
                round.keys[index].isMixed = true
            }
            if register.version > round.keys[index].highest.version {
                round.keys[index].highest = register
            }
        }
        round.agreed.insert(place)
        self.rounds[id] = round
        guard self.isQuorum(round.agreed) else { return }
        self.rounds[id] = nil
        for (key, count) in zip(keys, round.keys) {
            self.settle(
                key,
                count.highest,
                isMixed: count.isMixed,
                turn: &turn
            )
        }
    }

    /// Goes on with what a quorum holds (rule 20).
    private mutating func settle(
        _ key: KeyID,
        _ highest: Register,
        isMixed: Bool,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard let primary = self.primary, let batch = primary.lanes[key]?.current else { return }
        if highest.version.term > primary.ballot, self.flaw != .buildsOnRecordAboveBallot {
            return self.yield(to: highest.version.term, turn: &turn)
        }
        if let own = batch.attempts.last(where: { $0.version == highest.version }),
            self.flaw != .recomputesOwnAttempt
        {
            // It took effect already: never compute on it again.
            guard self.hasCounts(after: own.version, turn: &turn) else { return }
            let attempt = Batch.Attempt(
                version: self.nextVersion(after: own.version, turn: &turn),
                content: own.content,
                outcomes: own.outcomes
            )
            return self.accept(key, attempt, turn: &turn)
        }
        let isOwn = highest.version.term == primary.ballot
        let isOld = self.flaw == .fastPathWithOldTerm
        let isSettled = !isMixed && (isOwn || isOld || highest.isNone)
        if isSettled, isOwn || isOld { self.remember(key, highest) }
        _ = self.work(
            key,
            on: highest,
            isSettled ? .settled : .found,
            turn: &turn
        )
    }

    mutating func takeConfirmed(
        _ answer: Answer,
        _ keys: [KeyID],
        _ round: Round,
        _ id: RoundID,
        _ place: Int,
        turn: inout Turn<some ReplicaStore>
    ) {
        guard case .confirmed(let confirmed) = answer, confirmed.count == keys.count else { return }
        var round = round
        var settled: [KeyID] = []
        for (index, key) in keys.enumerated() where !round.keys[index].isDone {
            if confirmed[index] { round.keys[index].confirmed.insert(place) }
            let yes = round.keys[index].confirmed
            let possible = round.targets.subtracting(round.answered.subtracting(yes))
            if self.isQuorum(yes) {
                round.keys[index].isDone = true
                settled.append(key)
            } else if !self.isQuorum(possible) {
                round.keys[index].isDone = true
                self.primary?.known[key] = nil
                self.primary?.keysToRead.append(key)
            }
        }
        self.rounds[id] = round.keys.allSatisfy(\.isDone) ? nil : round
        for key in settled {
            self.joinLate(key)
            guard let known = self.primary?.known[key] else {
                self.primary?.keysToRead.append(key)
                continue
            }
            _ = self.work(key, on: known, .settled, turn: &turn)
        }
    }

    /// The flaw of a confirmation that began before a read arrived.
    private mutating func joinLate(_ key: KeyID) {
        guard self.flaw == .confirmBeforeArrival, var lane = self.primary?.lanes[key],
            var batch = lane.current
        else { return }
        let late = lane.queue.prefix { $0.kind == .read }
        batch.operations += late
        lane.queue.removeFirst(late.count)
        lane.current = batch
        self.primary?.lanes[key] = lane
    }
}

extension Outcome {
    /// The same with the version under which it became true.
    func with(_ version: Version) -> Self {
        switch self {
        case .read(let content, _): .read(content, version)
        case .written: .written(version)
        case .applied(let answer, _): .applied(answer, version)
        case .notApplied, .unknown: self
        }
    }
}
