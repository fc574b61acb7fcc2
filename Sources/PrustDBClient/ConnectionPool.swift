import PrustCore

/// Decides which connection carries a call, and when connections are opened and given up.
///
/// Pure: reads no clock, draws no randomness, does no I/O. A connection carries many calls at once;
/// a call waits only while every connection is full or none is there. Invariants: calls wait only
/// while no ready connection has room; a connection never carries more than the depth allows; the
/// number of waiting calls is bounded.
///
/// Departure from pools that lease: calls end in bulk, by count, because the order of the replies
/// already says which ended.
struct ConnectionPool: Sendable {
    typealias CallID = UInt64

    /// One connection in one place of the pool; a later one in the same place is another.
    struct ConnectionID: Hashable, Sendable {
        var slot: Int
        var generation: UInt64
    }

    struct Settings: Hashable, Sendable {
        var connectionCountMin = 1
        var connectionCountMax = 4
        var pipelineDepthMax = 512
        var waitingCountMax = 16_384
        /// Calls on the least loaded connection from which on another one is opened.
        var growthThreshold = 64
        var backoffMin: Duration = .milliseconds(50)
        var backoffMax: Duration = .seconds(2)
    }

    enum Rejection: Hashable, Sendable {
        case closed
        case overloaded
    }

    enum Placement: Hashable, Sendable {
        case send(on: ConnectionID)
        case wait
        case reject(Rejection)
    }

    /// Where a new call goes, and the connection to open because of it.
    struct Submission: Hashable, Sendable {
        var placement: Placement
        var open: ConnectionID?
    }

    enum Action: Hashable, Sendable {
        /// Connect; ends in `connected` or `connectFailed`.
        case open(ConnectionID)
        /// Call `retryDue` after this long.
        case retry(ConnectionID, after: Duration)
        case send(CallID, on: ConnectionID)
        /// End a waiting call with the error of the last failed attempt to connect.
        case failUnreachable(CallID)
        case failClosed(CallID)
        /// Close once nothing is under way on it.
        case drain(ConnectionID)
        /// Close now; it is not one of the pool's.
        case discard(ConnectionID)
    }

    private enum State: Hashable {
        case empty
        case connecting(attempt: Int)
        case ready(callCount: Int)
        case backingOff(attempt: Int)
    }

    private struct Slot: Hashable {
        var state = State.empty
        var generation: UInt64 = 0
    }

    private struct Waiting {
        var id: CallID
        var deadline: MonotonicInstant
    }

    private let settings: Settings
    private var slots: [Slot]
    private var queue = Fifo<Waiting>()
    /// The waiting calls that were not withdrawn; the queue may hold others besides.
    private var waitingIDs: Set<CallID> = []
    private var isClosed = false

    init(settings: Settings) {
        self.settings = settings
        self.slots = Array(repeating: Slot(), count: settings.connectionCountMax)
    }

    /// Calls that wait for a connection.
    var waitingCount: Int { self.waitingIDs.count }

    /// Whether any connection is ready.
    var isConnected: Bool { self.slots.contains { self.callCount($0) != nil } }

    /// Opens the connections that are always kept.
    mutating func start() -> [Action] {
        (0..<self.settings.connectionCountMin).map { .open(self.beginConnecting($0, attempt: 0)) }
    }

    /// Places a new call.
    ///
    /// - Parameters:
    ///   - id: The call's own number; never used twice.
    ///   - deadline: When it stops waiting.
    /// - Returns: Where it goes; `open` is an action to run besides.
    mutating func submit(_ id: CallID, deadline: MonotonicInstant) -> Submission {
        guard !self.isClosed else { return Submission(placement: .reject(.closed)) }
        if let (slot, count) = self.leastLoaded(), count < self.settings.pipelineDepthMax {
            self.slots[slot].state = .ready(callCount: count + 1)
            let grows = count + 1 >= self.settings.growthThreshold
            return Submission(
                placement: .send(on: self.id(slot)),
                open: grows ? self.openAnother() : nil
            )
        }
        guard self.waitingIDs.count < self.settings.waitingCountMax else {
            return Submission(placement: .reject(.overloaded))
        }
        self.queue.append(Waiting(id: id, deadline: deadline))
        self.waitingIDs.insert(id)
        return Submission(placement: .wait, open: self.openAnother())
    }

    /// Takes back a waiting call; `false` when it does not wait, an expected race.
    mutating func withdraw(_ id: CallID) -> Bool {
        guard self.waitingIDs.remove(id) != nil else { return false }
        let queuedCountMax = 2 * max(self.waitingIDs.count, 32)
        if self.queue.count > queuedCountMax {
            let live = self.waitingIDs
            self.queue.removeAll { !live.contains($0.id) }
        }
        return true
    }

    /// Takes back the waiting calls whose deadline has passed.
    ///
    /// - Parameter now: Monotonic time.
    /// - Returns: Those calls, oldest first, and the earliest deadline of the others.
    mutating func expire(now: MonotonicInstant) -> (expired: [CallID], next: MonotonicInstant?) {
        var expired: [CallID] = []
        var next: MonotonicInstant?
        let live = self.waitingIDs
        for waiting in self.queue where live.contains(waiting.id) {
            if waiting.deadline <= now {
                expired.append(waiting.id)
            } else {
                next = min(next ?? waiting.deadline, waiting.deadline)
            }
        }
        for id in expired { self.waitingIDs.remove(id) }
        let rest = self.waitingIDs
        self.queue.removeAll { !rest.contains($0.id) }
        return (expired, next)
    }

    /// A connection is made and greeted.
    mutating func connected(_ id: ConnectionID) -> [Action] {
        guard self.isCurrent(id), case .connecting = self.slots[id.slot].state else {
            return [.discard(id)]
        }
        self.slots[id.slot].state = .ready(callCount: 0)
        return self.feed(id.slot)
    }

    /// A connection could not be made.
    ///
    /// - Parameters:
    ///   - id: The connection.
    ///   - isHopeless: Whether waiting calls are not to wait for another attempt. They still wait
    ///     for the connections that are on their way.
    ///   - random: Fresh random number, for the pause.
    /// - Returns: The actions to run.
    mutating func connectFailed(
        _ id: ConnectionID,
        isHopeless: Bool,
        random: UInt64
    ) -> [Action] {
        guard self.isCurrent(id), case .connecting(let attempt) = self.slots[id.slot].state else {
            return []
        }
        self.slots[id.slot].state = .empty
        var actions: [Action] = []
        if isHopeless, !self.isAnyReadyOrConnecting {
            while let call = self.nextWaiting() { actions.append(.failUnreachable(call)) }
        }
        return actions + self.reopen(id.slot, attempt: attempt + 1, random: random)
    }

    /// The pause before another attempt is over.
    mutating func retryDue(_ id: ConnectionID) -> [Action] {
        guard self.isCurrent(id), case .backingOff(let attempt) = self.slots[id.slot].state else {
            return []
        }
        return [.open(self.beginConnecting(id.slot, attempt: attempt))]
    }

    /// A ready connection broke; its calls are not the pool's any more.
    mutating func lost(_ id: ConnectionID, random: UInt64) -> [Action] {
        guard self.isCurrent(id), self.callCount(self.slots[id.slot]) != nil else { return [] }
        return self.reopen(id.slot, attempt: 0, random: random)
    }

    /// Calls ended on a connection, which makes room for waiting ones.
    mutating func finished(_ id: ConnectionID, count: Int) -> [Action] {
        guard self.isCurrent(id), let callCount = self.callCount(self.slots[id.slot]) else {
            return []
        }
        precondition(count <= callCount, "\(count) calls ended of \(callCount)")
        self.slots[id.slot].state = .ready(callCount: callCount - count)
        return self.waitingIDs.isEmpty ? [] : self.feed(id.slot)
    }

    /// Takes no more calls and ends the connections.
    mutating func close() -> [Action] {
        guard !self.isClosed else { return [] }
        self.isClosed = true
        var actions: [Action] = []
        while let call = self.nextWaiting() { actions.append(.failClosed(call)) }
        for slot in self.slots.indices {
            if self.callCount(self.slots[slot]) != nil { actions.append(.drain(self.id(slot))) }
            self.slots[slot].state = .empty
            self.slots[slot].generation += 1
        }
        return actions
    }
}

extension ConnectionPool {
    private func id(_ slot: Int) -> ConnectionID {
        ConnectionID(slot: slot, generation: self.slots[slot].generation)
    }

    private func isCurrent(_ id: ConnectionID) -> Bool {
        self.slots.indices.contains(id.slot) && self.slots[id.slot].generation == id.generation
    }

    private var isAnyReadyOrConnecting: Bool {
        self.slots.contains { slot in
            switch slot.state {
            case .connecting, .ready: true
            case .empty, .backingOff: false
            }
        }
    }

    private func callCount(_ slot: Slot) -> Int? {
        switch slot.state {
        case .ready(let count): count
        case .empty, .connecting, .backingOff: nil
        }
    }

    private func leastLoaded() -> (slot: Int, count: Int)? {
        var best: (slot: Int, count: Int)?
        for slot in self.slots.indices {
            guard let count = self.callCount(self.slots[slot]) else { continue }
            if best.map({ count < $0.count }) ?? true { best = (slot, count) }
        }
        return best
    }

    private mutating func beginConnecting(_ slot: Int, attempt: Int) -> ConnectionID {
        self.slots[slot].generation += 1
        self.slots[slot].state = .connecting(attempt: attempt)
        return self.id(slot)
    }

    /// Opens one more connection unless one is on its way already or all places are taken.
    private mutating func openAnother() -> ConnectionID? {
        var free: Int?
        for slot in self.slots.indices {
            switch self.slots[slot].state {
            case .connecting, .backingOff: return nil
            case .empty: free = free ?? slot
            case .ready: break
            }
        }
        return free.map { self.beginConnecting($0, attempt: 0) }
    }

    /// Connects again after a pause if the connection is needed, else gives its place up.
    private mutating func reopen(_ slot: Int, attempt: Int, random: UInt64) -> [Action] {
        self.slots[slot].state = .empty
        let aliveCount = self.slots.count { $0.state != .empty }
        let isNeeded =
            aliveCount < self.settings.connectionCountMin
            || (!self.waitingIDs.isEmpty && aliveCount == 0)
        guard isNeeded else { return [] }
        self.slots[slot].state = .backingOff(attempt: attempt)
        return [.retry(self.id(slot), after: self.pause(attempt: attempt, random: random))]
    }

    /// Half of the pause is fixed and half random, so that clients do not come back together.
    private func pause(attempt: Int, random: UInt64) -> Duration {
        var pause = self.settings.backoffMin
        for _ in 0..<min(attempt, 32) where pause < self.settings.backoffMax { pause *= 2 }
        pause = min(pause, self.settings.backoffMax)
        return pause / 2 + pause * Double(random >> 11) * 0x1p-53 / 2
    }

    private mutating func nextWaiting() -> CallID? {
        while let waiting = self.queue.popFirst() {
            if self.waitingIDs.remove(waiting.id) != nil { return waiting.id }
        }
        return nil
    }

    /// Gives waiting calls to a connection while it has room.
    private mutating func feed(_ slot: Int) -> [Action] {
        guard var count = self.callCount(self.slots[slot]) else { return [] }
        var actions: [Action] = []
        while count < self.settings.pipelineDepthMax, let call = self.nextWaiting() {
            actions.append(.send(call, on: self.id(slot)))
            count += 1
        }
        self.slots[slot].state = .ready(callCount: count)
        return actions
    }
}
