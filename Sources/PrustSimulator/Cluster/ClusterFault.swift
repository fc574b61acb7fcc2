internal import PrustCore
internal import PrustReplication

/// What can go wrong at a moment; each comes again after a random time.
enum ClusterFault: CaseIterable {
    case crash
    case cut
    case duel
    case reconfigure
    case pause
    case clock
    case wipe
    /// No fault: a record goes from one node to another, as hints and repair do.
    case repair
}

extension ClusterSimulation {
    private func pause(of fault: ClusterFault) -> Int64 {
        switch fault {
        case .crash: self.plan.crashPause
        case .cut: self.plan.cutPause
        case .duel: self.plan.duelPause
        case .reconfigure: self.plan.reconfigurationPause
        case .pause: self.plan.pausePause
        case .clock: self.plan.clockPause
        case .wipe: self.plan.wipePause
        case .repair: self.plan.repairPause
        }
    }

    mutating func scheduleFaults() {
        for fault in ClusterFault.allCases { self.schedule(fault) }
    }

    private mutating func schedule(_ fault: ClusterFault) {
        let pause = self.pause(of: fault)
        guard pause > 0 else { return }
        let time = self.random.pick(1...(2 * pause)) * Self.millisecond
        self.events.add(.fault(fault), at: self.now + time)
    }

    mutating func strike(_ fault: ClusterFault) {
        guard !self.isCalm else { return }
        self.schedule(fault)
        switch fault {
        case .crash: self.crash(self.someNode())
        case .cut: self.cut()
        case .duel: self.duel()
        case .reconfigure: self.reconfigure()
        case .pause:
            let node = self.someNode()
            let until = self.now + self.random.pick(10...400) * Self.millisecond
            self.nodes[node].pausedUntil = until
            self.note("n\(node) pauses")
        case .clock:
            let node = self.someNode()
            self.nodes[node].skew = self.random.pick(-500...500)
        case .wipe: self.wipe()
        case .repair: self.repair()
        }
    }

    /// A primary more often than others.
    private mutating func someNode() -> Int {
        if self.random.pick(0...9) < 4, let primary = self.primaryNode() { return primary }
        return Int(self.random.pick(0...Int64(self.nodes.count - 1)))
    }

    mutating func primaryNode() -> Int? {
        let primaries = self.nodes.indices.filter { self.nodes[$0].replica?.isLeading ?? false }
        guard !primaries.isEmpty else { return nil }
        return primaries[Int(self.random.pick(0...Int64(primaries.count - 1)))]
    }

    mutating func memberNode() -> Int? {
        let members = self.nodes.indices.filter {
            self.nodes[$0].isUp && self.latest.place(of: self.nodes[$0].storage) != nil
        }
        guard !members.isEmpty else { return nil }
        return members[Int(self.random.pick(0...Int64(members.count - 1)))]
    }

    mutating func crash(_ node: Int) {
        guard self.nodes[node].isUp else { return }
        self.counters.crashes += 1
        self.note("n\(node) crashes")
        self.nodes[node].replica = nil
        self.nodes[node].boot += 1
        self.nodes[node].held = []
        let kept = self.random.pick(0...Int64(self.nodes[node].store.unsyncedCount))
        self.nodes[node].store.crash(keeping: Int(kept))
        // Whoever waits for this node learns nothing.
        self.nodes[node].operations = []
        let isShort = self.random.pick(0...1) == 0
        let down = isShort ? self.random.pick(1...40) : self.random.pick(20...500)
        self.events.add(.restart(node), at: self.now + down * Self.millisecond)
    }

    private mutating func cut() {
        guard self.cuts.isEmpty else { return }
        let side = self.nodes.indices.filter { _ in self.random.pick(0...1) == 0 }
        let alone = self.random.pick(0...1) == 0 ? [self.someNode()] : side
        let isOneWay = self.random.pick(0...2) == 0
        for inside in alone {
            for outside in self.nodes.indices where !alone.contains(outside) {
                self.cuts.insert([inside, outside])
                if !isOneWay { self.cuts.insert([outside, inside]) }
            }
        }
        self.note("cut off \(alone)\(isOneWay ? ", one way" : "")")
        self.events.add(.heal, at: self.now + self.random.pick(40...400) * Self.millisecond)
    }

    /// A member tries to take over although nobody needs it.
    private mutating func duel() {
        guard let node = self.memberNode() else { return }
        self.turn(node) { replica, turn in replica.prepare(turn: &turn) }
    }

    private mutating func reconfigure() {
        guard let node = self.primaryNode(), let replica = self.nodes[node].replica else {
            return self.duel()
        }
        let descriptor = replica.descriptor
        if descriptor.isJoint {
            let isGivenUp = self.random.pick(0...9) == 0
            self.turn(node) { replica, turn in
                if isGivenUp {
                    _ = replica.abandonReconfiguration(turn: &turn)
                } else {
                    _ = replica.finalize(turn: &turn)
                }
            }
            return
        }
        var next = descriptor.members
        for _ in 0..<self.random.pick(1...3) {
            let other = Int(self.random.pick(0...Int64(self.nodes.count - 1)))
            let storage = self.nodes[other].storage
            if let place = next.firstIndex(where: { $0.storage == storage }) {
                next.remove(at: place)
            } else {
                let member = Member(
                    storage: storage,
                    node: self.nodes[other].id,
                    index: self.nextIndex
                )
                self.nextIndex += 1
                next.append(member)
            }
        }
        while next.count > 5 { next.removeFirst() }
        guard !next.isEmpty, next != descriptor.members else { return }
        // An operator who asks for members that are gone for ever has no cluster afterwards.
        let wanted = Descriptor(epoch: 1, members: next)
        guard wanted.isQuorum(self.living(of: wanted)) else { return }
        self.turn(node) { replica, turn in _ = replica.reconfigure(to: next, turn: &turn) }
    }

    /// A node loses its disk and comes back with an empty one.
    ///
    /// It is another storage then, so no member forgets what it promised. At most a minority may
    /// lose theirs for ever.
    private mutating func wipe() {
        let node = self.someNode()
        guard self.mayLose(node) else { return }
        self.crash(node)
        self.note("n\(node) loses its disk")
        self.nodes[node].storage = Self.storage(self.nextStorage)
        self.nextStorage += 1
        self.nodes[node].store = SimulatedReplicaStore()
        self.nodes[node].store.save(ReplicaState(descriptor: self.founding))
        self.nodes[node].store.synced(through: self.nodes[node].store.mark)
    }

    /// Whether every descriptor that may still matter keeps a majority of living members.
    private func mayLose(_ node: Int) -> Bool {
        let lost = self.nodes[node].storage
        return self.proposed.union([self.latest]).allSatisfy { descriptor in
            descriptor.epoch < self.latest.epoch
                || descriptor.isQuorum(self.living(of: descriptor, without: lost))
        }
    }

    /// The members whose disk is not lost.
    func living(of descriptor: Descriptor, without lost: StorageID? = nil) -> MemberSet {
        var places = MemberSet()
        for node in self.nodes where node.storage != lost {
            if let place = descriptor.place(of: node.storage) { places.insert(place) }
        }
        return places
    }

    /// One record goes from one node to another.
    private mutating func repair() {
        let from = Int(self.random.pick(0...Int64(self.nodes.count - 1)))
        let to = Int(self.random.pick(0...Int64(self.nodes.count - 1)))
        let key = Self.key(Int(self.random.pick(0...Int64(self.plan.keyCount - 1))))
        guard from != to, let replica = self.nodes[from].replica else { return }
        let register = self.nodes[from].store.register(of: key)
        guard !register.isNone, self.nodes[from].store.mark(of: key) == 0 else { return }
        let message = Message(descriptor: replica.descriptor, body: .put(key, register))
        self.events.add(
            .deliver(message, from: self.nodes[from].storage, to: self.nodes[to].storage),
            at: self.now + self.random.pick(1...12) * Self.millisecond
        )
    }
}
