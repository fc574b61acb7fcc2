internal import PrustCore
internal import PrustReplication

/// Records and state of one replica over a disk that a crash takes back to its last sync.
struct SimulatedReplicaStore: ReplicaStore {
    enum Change {
        case put(KeyID, Register)
        case save(ReplicaState)
    }

    private var registers: [KeyID: (register: Register, mark: UInt64)] = [:]
    private(set) var state: ReplicaState?
    private var durableRegisters: [KeyID: Register] = [:]
    private var durableState: ReplicaState?
    /// Changes that are not durable, oldest first.
    private var log: [(mark: UInt64, change: Change)] = []
    private(set) var mark: UInt64 = 0
    private var lastStateMark: UInt64 = 0
    private(set) var durableMark: UInt64 = 0

    func register(of key: KeyID) -> Register { self.registers[key]?.register ?? .none }

    func mark(of key: KeyID) -> UInt64 {
        guard let mark = self.registers[key]?.mark, mark > self.durableMark else { return 0 }
        return mark
    }

    var stateMark: UInt64 { self.lastStateMark > self.durableMark ? self.lastStateMark : 0 }

    var isDirty: Bool { !self.log.isEmpty }

    mutating func put(_ key: KeyID, _ register: Register) {
        self.mark += 1
        self.registers[key] = (register, self.mark)
        self.log.append((self.mark, .put(key, register)))
    }

    mutating func save(_ state: ReplicaState) {
        self.mark += 1
        self.state = state
        self.lastStateMark = self.mark
        self.log.append((self.mark, .save(state)))
    }

    func page(from key: KeyID, countMax: Int) -> (records: [KeyRegister], next: KeyID?) {
        let keys = self.registers.keys.filter { $0 >= key }.sorted()
        let records = keys.prefix(countMax).map {
            KeyRegister(key: $0, register: self.register(of: $0))
        }
        return (records, keys.count > countMax ? keys[countMax] : nil)
    }

    var keys: [KeyID] { self.registers.keys.sorted() }

    /// The sync that began when `mark` was the newest change is over.
    mutating func synced(through mark: UInt64) {
        self.durableMark = max(self.durableMark, mark)
        while let first = self.log.first, first.mark <= mark {
            self.apply(first.change)
            self.log.removeFirst()
        }
    }

    private mutating func apply(_ change: Change) {
        switch change {
        case .put(let key, let register): self.durableRegisters[key] = register
        case .save(let state): self.durableState = state
        }
    }

    /// Loses what was not synced but for a number of the oldest changes, as a torn log does.
    mutating func crash(keeping count: Int) {
        for entry in self.log.prefix(count) { self.apply(entry.change) }
        self.log = []
        self.registers = self.durableRegisters.mapValues { ($0, 0) }
        self.state = self.durableState
        self.durableMark = self.mark
    }

    var unsyncedCount: Int { self.log.count }
}
