import PrustCore

/// What one step of SCAN has found and used up so far, and whether it may visit one more key.
struct ScanWalk {
    /// A key of the memtable, copied out of it.
    struct MemoryKey {
        var keyID: KeyID
        var key: [UInt8]
        var expiresAt: Int64
        var sequence: UInt64
        var isTombstone: Bool
    }

    let request: ScanRequest
    private let budget: ScanBudget
    private let deadline: MonotonicInstant
    private(set) var result = ScanResult(cursor: 0, keys: [])
    private var visitedCount = 0
    private var keyByteCount = 0
    private var readByteCount = 0
    /// The upper 64 bits of the key that was visited last.
    private var lastWord: UInt64?

    init(_ request: ScanRequest, _ budget: ScanBudget) {
        self.request = request
        self.budget = budget
        self.deadline = MonotonicInstant(
            nanoseconds: budget.now().nanoseconds + budget.nanosecondsMax
        )
    }

    /// Keys that it makes sense to fetch at once; one more row shows whether there are more.
    var fetchCount: Int {
        max(1, min(self.request.count - self.visitedCount, self.budget.rowCountMax - 1))
    }

    var isUsedUp: Bool {
        self.visitedCount >= self.request.count
            || self.keyByteCount >= self.budget.keyByteCountMax
            || self.readByteCount >= self.budget.readByteCountMax
            || self.budget.now() >= self.deadline
    }

    /// Whether a key still belongs to this step.
    ///
    /// The first one does, so that every step gets on, and so do those that the cursor, of 64
    /// bits, cannot tell from the one before.
    func mayVisit(_ keyID: KeyID) -> Bool {
        guard let last = self.lastWord, last != keyID.identifier.word0 else { return true }
        return !self.isUsedUp
    }

    /// Counts a key; false if it is not wanted, whatever its bytes are.
    mutating func visit(_ keyID: KeyID, expiresAt: Int64, isTombstone: Bool) -> Bool {
        self.visitedCount += 1
        self.lastWord = keyID.identifier.word0
        guard !isTombstone, self.request.matchesType else { return false }
        return expiresAt == 0 || expiresAt > self.request.wall.milliseconds
    }

    mutating func visit(_ entry: MemoryKey) {
        self.result.newestSequence = max(self.result.newestSequence, entry.sequence)
        let isWanted = self.visit(
            entry.keyID,
            expiresAt: entry.expiresAt,
            isTombstone: entry.isTombstone
        )
        if isWanted { self.take(entry.key) }
    }

    mutating func countRead(byteCount: Int) {
        self.readByteCount += byteCount
    }

    /// Returns a key to the caller, if it matches the pattern.
    mutating func take(_ key: [UInt8]) {
        if let pattern = self.request.pattern, !GlobPattern.matches(key, pattern) { return }
        self.result.keys.append(key)
        self.keyByteCount += key.count
    }

    /// Ends the step in the middle of the walk: the next one begins at a key, or before it.
    mutating func stop(at keyID: KeyID) {
        // 0 would say that the walk is over.
        self.result.cursor = max(keyID.identifier.word0, 1)
    }
}
