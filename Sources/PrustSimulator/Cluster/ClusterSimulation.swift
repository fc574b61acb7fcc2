internal import PrustCore
package import PrustReplication

/// A cluster of real replicas in one thread under one seed: virtual time, network, disks, clocks
/// and clients, and faults in all of them.
///
/// Everything that happens is a function of the seed and the plan, in any process. What clients saw
/// is judged by checkers that know nothing of the protocol.
package struct ClusterSimulation {
    enum Event {
        case deliver(Message, from: StorageID, to: StorageID)
        case synced(node: Int, boot: UInt32, mark: UInt64)
        case tick(node: Int, boot: UInt32)
        case client(Int)
        case timeout(client: Int, entry: Int)
        case restart(Int)
        case fault(ClusterFault)
        case heal
    }

    struct Client {
        var entry: Int?
    }

    package struct Report: Sendable {
        package var seed: UInt64
        package var violations: [String]
        package var operationCount: Int
        package var eventCount: Int
        /// Keys whose history was too long to judge.
        package var undecidedCount: Int
        /// Equal in every process that runs this seed.
        package var hash: UInt64
        package var counters: [(name: String, count: Int)]
    }

    static let millisecond: Int64 = 1_000_000
    static let clientTimeout: Int64 = 400 * Self.millisecond

    let seed: UInt64
    let plan: ClusterPlan
    let flaw: Flaw
    var random: SeededRandom
    var now: Int64 = 0
    var events = EventQueue<Event>()
    var nodes: [SimulatedNode] = []
    var clients: [Client] = []
    var history = History()
    var floors: [Version]
    /// What the floor of the key was when an operation began.
    var floorsAtCall: [Int: Version] = [:]
    var contents: [KeyVersion: Content] = [:]
    var chosen: [UInt32: Descriptor] = [:]
    /// Descriptors that may be chosen sooner or later, and those that were.
    var proposed: Set<Descriptor> = []
    var latest: Descriptor
    let founding: Descriptor
    var nextIndex: UInt32
    var nextValue: Int64 = 1
    var nextStorage: UInt64 = 1
    /// One-way cuts: from the first node to the second.
    var cuts: Set<[Int]> = []
    var isCalm = false
    var violations: [String] = []
    var eventCount = 0
    var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    var counters = Counters()
    package var trace: ((String) -> Void)?

    struct Counters {
        var crashes = 0
        var descriptors = 0
        var takeovers = 0
        var done = 0
        var unknown = 0
        var notApplied = 0
    }

    package init(seed: UInt64, plan: ClusterPlan? = nil, flaw: Flaw = .none) {
        self.seed = seed
        let plan = plan ?? ClusterPlan(seed: seed)
        self.plan = plan
        self.flaw = flaw
        self.random = SeededRandom(seed: seed &* 7_919 &+ 13)
        self.floors = Array(repeating: .zero, count: plan.keyCount)
        var members: [Member] = []
        for index in 0..<plan.memberCount {
            members.append(
                Member(
                    storage: Self.storage(UInt64(index)),
                    node: Self.node(index),
                    index: UInt32(index)
                )
            )
        }
        self.founding = Descriptor(epoch: 1, members: members)
        self.latest = self.founding
        self.chosen = [1: self.founding]
        self.nextIndex = UInt32(plan.memberCount)
        for index in 0..<plan.nodeCount {
            self.nodes.append(
                SimulatedNode(id: Self.node(index), storage: Self.storage(UInt64(index)))
            )
        }
        self.nextStorage = UInt64(plan.nodeCount)
        self.clients = Array(repeating: Client(), count: plan.clientCount)
    }

    static func node(_ index: Int) -> NodeID {
        NodeID(Identifier256(word0: UInt64(index) + 1, word1: 0, word2: 0, word3: 0))
    }

    static func storage(_ number: UInt64) -> StorageID {
        StorageID(Identifier256(word0: number + 1, word1: 1, word2: 0, word3: 0))
    }

    static func key(_ index: Int) -> KeyID {
        KeyID(Identifier256(word0: UInt64(index) << 40, word1: 0, word2: 0, word3: 0))
    }

    static func keyIndex(_ key: KeyID) -> Int { Int(key.identifier.word0 >> 40) }

    // MARK: Running

    /// Runs the seed to its end and judges it.
    package mutating func run() -> Report {
        for index in self.nodes.indices {
            self.nodes[index].store.save(ReplicaState(descriptor: self.founding))
            self.nodes[index].store.synced(through: self.nodes[index].store.mark)
            self.start(index)
        }
        for client in self.clients.indices {
            self.events.add(.client(client), at: self.random.pick(1...60) * Self.millisecond)
        }
        self.scheduleFaults()
        while self.history.entries.count < self.plan.operationCount, self.step() {}
        self.finale()
        var report = self.judge()
        report.eventCount = self.eventCount
        return report
    }

    /// Lets the next event happen; false when there is none.
    mutating func step() -> Bool {
        guard let time = self.events.nextTime, let event = self.events.take() else { return false }
        self.now = max(self.now, time)
        self.eventCount += 1
        self.mix(UInt64(bitPattern: self.now))
        switch event {
        case .deliver(let message, let sender, let receiver):
            self.deliver(message, from: sender, to: receiver)
        case .synced(let node, let boot, let mark):
            self.synced(node, boot: boot, mark: mark)
        case .tick(let node, let boot):
            guard self.nodes[node].boot == boot, self.nodes[node].isUp else { return true }
            self.nodes[node].tickAt = nil
            self.turn(node) { replica, turn in _ = replica.tick(turn: &turn) }
        case .client(let client): self.act(client)
        case .timeout(let client, let entry):
            guard self.clients[client].entry == entry else { return true }
            self.clients[client].entry = nil
            self.events.add(.client(client), at: self.now)
        case .restart(let node): self.start(node)
        case .fault(let fault): self.strike(fault)
        case .heal: self.cuts = []
        }
        return true
    }

    mutating func runUntil(_ end: Int64) {
        while let time = self.events.nextTime, time <= end, self.step() {}
        self.now = end
    }

    mutating func mix(_ value: UInt64) {
        self.digest = (self.digest ^ value) &* 0x100_0000_01B3
    }

    func note(_ text: @autoclosure () -> String) {
        guard let trace = self.trace else { return }
        trace("\(self.now / 1_000) us  \(text())")
    }

    mutating func violate(_ check: String, _ what: String) {
        self.note("VIOLATION \(check): \(what)")
        self.violations.append("\(check): \(what)")
    }

    // MARK: Nodes

    var options: Replica<SimulatedFunction>.Options {
        var options = Replica<SimulatedFunction>.Options()
        options.resendAfter = .milliseconds(35)
        options.pageCountMax = 3
        options.flaw = self.flaw
        return options
    }

    func instant() -> MonotonicInstant { MonotonicInstant(nanoseconds: self.now) }

    mutating func start(_ node: Int) {
        guard !self.nodes[node].isUp, var state = self.nodes[node].store.state else { return }
        state.boot += 1
        self.nodes[node].boot += 1
        self.nodes[node].store.save(state)
        // A start is counted durably before anything else happens.
        self.nodes[node].store.synced(through: self.nodes[node].store.mark)
        self.nodes[node].isSyncing = false
        self.nodes[node].held = []
        self.nodes[node].tickAt = nil
        self.nodes[node].replica = Replica(
            storage: self.nodes[node].storage,
            state: state,
            clock: HybridClock(),
            options: self.options
        )
        self.note("n\(node) starts, epoch \(state.descriptor.epoch)")
        self.turn(node) { replica, turn in replica.pull(turn: &turn) }
    }

    /// Gives a replica one turn and carries out what it wants.
    mutating func turn(
        _ node: Int,
        _ body: (
            inout Replica<SimulatedFunction>,
            inout Replica<SimulatedFunction>.Turn<SimulatedReplicaStore>
        ) -> Void
    ) {
        guard var replica = self.nodes[node].replica else { return }
        var turn = Replica<SimulatedFunction>.Turn(
            now: self.instant(),
            wall: WallTime(
                milliseconds: 1_000_000 + self.now / Self.millisecond + self.nodes[node].skew
            ),
            store: self.nodes[node].store
        )
        let wasLeading = replica.isLeading
        body(&replica, &turn)
        if !wasLeading, replica.isLeading {
            self.counters.takeovers += 1
            self.note("n\(node) is primary of \(replica.ballot ?? .zero)")
        }
        let tickAt = replica.nextTick
        self.nodes[node].replica = replica
        self.nodes[node].store = turn.store
        for effect in turn.effects { self.carryOut(effect, node) }
        self.sync(node)
        if let tickAt, self.nodes[node].tickAt.map({ tickAt.nanoseconds < $0 }) ?? true {
            self.nodes[node].tickAt = tickAt.nanoseconds
            let boot = self.nodes[node].boot
            self.events.add(.tick(node: node, boot: boot), at: max(self.now, tickAt.nanoseconds))
        }
    }

    private mutating func sync(_ node: Int) {
        guard self.nodes[node].store.isDirty, !self.nodes[node].isSyncing else { return }
        self.nodes[node].isSyncing = true
        let time = self.random.pick(0...self.plan.syncTimeMax * Self.millisecond)
        self.events.add(
            .synced(node: node, boot: self.nodes[node].boot, mark: self.nodes[node].store.mark),
            at: self.now + time
        )
    }

    private mutating func synced(_ node: Int, boot: UInt32, mark: UInt64) {
        guard self.nodes[node].boot == boot, self.nodes[node].isUp else { return }
        self.nodes[node].isSyncing = false
        self.nodes[node].store.synced(through: mark)
        let durable = self.nodes[node].store.durableMark
        var held: [(mark: UInt64, effect: ReplicaEffect<SimulatedFunction>)] = []
        swap(&held, &self.nodes[node].held)
        for entry in held {
            if entry.mark <= durable {
                self.perform(entry.effect, node)
            } else {
                self.nodes[node].held.append(entry)
            }
        }
        self.sync(node)
    }

    private mutating func carryOut(_ effect: ReplicaEffect<SimulatedFunction>, _ node: Int) {
        let mark: UInt64
        switch effect {
        case .send(_, _, let after), .finish(_, _, let after): mark = after
        case .learned, .notReconfigured: mark = 0
        }
        if mark > self.nodes[node].store.durableMark {
            self.nodes[node].held.append((mark, effect))
        } else {
            self.perform(effect, node)
        }
    }

    private mutating func perform(_ effect: ReplicaEffect<SimulatedFunction>, _ node: Int) {
        switch effect {
        case .send(let receiver, let message, _):
            self.send(message, from: node, to: receiver)
        case .finish(let operation, let outcome, _):
            self.finish(Int(operation.number), outcome, node)
        case .learned(let descriptor):
            self.learned(descriptor, node)
        case .notReconfigured:
            break
        }
    }

    private mutating func learned(_ descriptor: Descriptor, _ node: Int) {
        self.note(
            "n\(node) learns epoch \(descriptor.epoch): \(self.names(descriptor.members)) "
                + "\(self.names(descriptor.next))"
        )
        if let known = self.chosen[descriptor.epoch], known != descriptor {
            self.violate("C8", "two descriptors in epoch \(descriptor.epoch)")
        }
        self.chosen[descriptor.epoch] = descriptor
        if descriptor.epoch > self.latest.epoch {
            self.latest = descriptor
            self.counters.descriptors += 1
        }
    }

    func names(_ members: [Member]) -> [Int] {
        members.map { Int($0.storage.identifier.word0) - 1 }
    }

    // MARK: Network

    func nodeIndex(of storage: StorageID) -> Int? {
        self.nodes.firstIndex { $0.storage == storage }
    }

    private mutating func send(_ message: Message, from node: Int, to receiver: StorageID) {
        self.checkContents(message)
        guard let target = self.nodeIndex(of: receiver) else { return }
        let sender = self.nodes[node].storage
        var copies = 1
        if target != node, !self.isCalm {
            if self.random.happens(perMille: self.plan.lossRate) { copies = 0 }
            if self.cuts.contains([node, target]) { copies = 0 }
            if self.random.happens(perMille: self.plan.duplicationRate) { copies += 1 }
        }
        for _ in 0..<copies {
            var delay = self.random.pick(10_000...(target == node ? 50_000 : 9_000_000))
            if !self.isCalm, target != node, self.random.happens(perMille: self.plan.slowRate) {
                delay = self.random.pick(20...500) * Self.millisecond
            }
            self.events.add(
                .deliver(message, from: sender, to: receiver),
                at: self.now + delay
            )
        }
    }

    private mutating func deliver(
        _ message: Message,
        from sender: StorageID,
        to receiver: StorageID
    ) {
        guard let node = self.nodeIndex(of: receiver), self.nodes[node].isUp else { return }
        if self.nodes[node].pausedUntil > self.now {
            self.events.add(
                .deliver(message, from: sender, to: receiver),
                at: self.nodes[node].pausedUntil
            )
            return
        }
        self.turn(node) { replica, turn in replica.receive(message, from: sender, turn: &turn) }
    }

    /// One key and version has one content for ever.
    private mutating func checkContents(_ message: Message) {
        let key: KeyID
        let register: Register
        switch message.body {
        case .put(let id, let value): (key, register) = (id, value)
        case .request(_, .accept(_, let id, let value)), .request(_, .store(let id, let value)):
            (key, register) = (id, value)
        case .request(_, .acceptDescriptor(_, let next)):
            self.proposed.insert(next)
            return
        case .request, .answer, .learn: return
        }
        let place = KeyVersion(key: key, version: register.version)
        if let known = self.contents[place], known != register.content {
            self.violate("C8", "key \(Self.keyIndex(key)) has two values at \(register.version)")
        }
        self.contents[place] = register.content
    }
}
