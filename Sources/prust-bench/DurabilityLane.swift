import NIOCore
import PrustCore
import PrustDBClient
import PrustWire

/// One connection of the durability check, which owns some of the keys.
///
/// It writes one key after the other, each write acknowledged before the next. After a lost
/// connection it reads back every key that it wrote since the last such check, before it writes
/// again: so a loss is seen at the restart that caused it, and cannot hide under a later write.
final class DurabilityLane: PipelineDelegate {
    struct Settings: Sendable {
        let target: Target
        let keyPrefix: String
        let keyCount: Int
        let laneCount: Int
        let value: JournalValue
        let seed: UInt64
        let reconnects: Bool
    }

    /// What one lane did; several are added up.
    struct Result: Sendable {
        var tried = 0
        var acknowledged = 0
        var refused = 0
        var unknown = 0
        var reads = 0
        var reconnects = 0
        var lost = 0
        var changed = 0
        var longestOutageMilliseconds: Int64 = 0
        var examples: [String] = []
        var failure: String?

        mutating func add(_ other: Self) {
            self.tried += other.tried
            self.acknowledged += other.acknowledged
            self.refused += other.refused
            self.unknown += other.unknown
            self.reads += other.reads
            self.reconnects += other.reconnects
            self.lost += other.lost
            self.changed += other.changed
            self.longestOutageMilliseconds = max(
                self.longestOutageMilliseconds,
                other.longestOutageMilliseconds
            )
            self.examples = Array((self.examples + other.examples).prefix(10))
            self.failure = self.failure ?? other.failure
        }
    }

    private enum Phase {
        case away
        case writing(slot: Int, write: UInt64)
        case reading(rest: ArraySlice<Int>, inFlight: CircularBuffer<Int>)
        case ended
    }

    private static let readDepth = 64
    private static let reconnectPause = TimeAmount.milliseconds(50)

    private let settings: Settings
    private let index: Int
    private let eventLoop: any EventLoop
    private let done: EventLoopPromise<Void>
    private var handler: PipelineHandler<DurabilityLane>?
    private var journal: WriteJournal
    private var random: SeededRandom
    private var phase = Phase.away
    /// Keys written since the last check, and whether each is among them.
    private var dirty: [Int] = []
    private var isDirty: [Bool]
    private var isLastCheck = false
    /// Whether the reads under way are those of all keys.
    private var readsAll = false
    private var isDone = false
    private var lostAt: NIODeadline?
    private var result = Result()
    private var readFailure: String?

    init(settings: Settings, index: Int, eventLoop: any EventLoop) {
        self.settings = settings
        self.index = index
        self.eventLoop = eventLoop
        self.done = eventLoop.makePromise()
        let count = RunPlan.share(of: settings.keyCount, index: index, count: settings.laneCount)
        self.journal = WriteJournal(keyCount: count)
        self.isDirty = Array(repeating: false, count: count)
        self.random = SeededRandom(seed: settings.seed &+ UInt64(index))
    }

    var ended: EventLoopFuture<Void> { self.done.futureResult }

    func connect() -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        return PipelineHandler.connect(
            to: self.settings.target,
            on: self.eventLoop,
            delegate: self
        ).map { handler in
            bound.value.handler = handler.value
            bound.value.resume()
        }
    }

    /// Writes no more: reads every key back, and ends.
    func beginLastCheck() {
        guard !self.isLastCheck else { return }
        self.isLastCheck = true
        // A write or a check under way goes on; what follows it is the last check.
    }

    func close() -> Result {
        if !self.isDone { self.result.failure = self.readFailure }
        self.finish()
        self.handler?.close()
        self.result.tried = self.journal.triedCount
        self.result.acknowledged = self.journal.acknowledgedCount
        self.result.unknown = self.result.tried - self.result.acknowledged - self.result.refused
        return self.result
    }

    private func finish() {
        self.phase = .ended
        guard !self.isDone else { return }
        self.isDone = true
        self.done.succeed()
    }

    private func resume() {
        guard !self.isOver else { return }
        self.readFailure = nil
        if self.isLastCheck {
            self.readAll()
        } else if self.lostAt != nil {
            self.readsAll = false
            self.continueReading(self.dirty[...], inFlight: CircularBuffer())
        } else {
            self.writeNext()
        }
    }

    private var isOver: Bool {
        if case .ended = self.phase { true } else { false }
    }

    private func key(_ slot: Int) -> Int { slot * self.settings.laneCount + self.index }

    private func keyBytes(_ slot: Int) -> String { "\(self.settings.keyPrefix)\(self.key(slot))" }

    private func writeNext() {
        let slot = KeyPicker.uniform(self.journal.keyCount, using: &self.random)
        let write = self.journal.begin(slot)
        if !self.isDirty[slot] {
            self.isDirty[slot] = true
            self.dirty.append(slot)
        }
        var value = ByteBuffer()
        self.settings.value.write(key: self.key(slot), write: write, into: &value)
        var bytes = ByteBuffer()
        RESPCommandEncoder.begin(argumentCount: 3, into: &bytes)
        RESPCommandEncoder.argument("SET", into: &bytes)
        RESPCommandEncoder.argument(self.keyBytes(slot).utf8, into: &bytes)
        RESPCommandEncoder.argument(value, into: &bytes)
        self.phase = .writing(slot: slot, write: write)
        self.handler?.write(bytes)
    }

    private func readAll() {
        self.readsAll = true
        let slots = (0..<self.journal.keyCount).filter { self.journal.isTouched($0) }
        self.continueReading(slots[...], inFlight: CircularBuffer())
    }

    private func continueReading(_ rest: ArraySlice<Int>, inFlight: CircularBuffer<Int>) {
        guard self.readFailure == nil else { return }
        var rest = rest
        var inFlight = inFlight
        if rest.isEmpty, inFlight.isEmpty { return self.checked() }
        var bytes = ByteBuffer()
        while inFlight.count < Self.readDepth, let slot = rest.popFirst() {
            RESPCommandEncoder.begin(argumentCount: 2, into: &bytes)
            RESPCommandEncoder.argument("GET", into: &bytes)
            RESPCommandEncoder.argument(self.keyBytes(slot).utf8, into: &bytes)
            inFlight.append(slot)
        }
        self.phase = .reading(rest: rest, inFlight: inFlight)
        if bytes.readableBytes > 0 { self.handler?.write(bytes) }
    }

    /// Everything that was to be read back was read.
    private func checked() {
        if let lostAt = self.lostAt {
            let outage = (NIODeadline.now() - lostAt).nanoseconds / 1_000_000
            self.result.longestOutageMilliseconds = max(
                self.result.longestOutageMilliseconds,
                outage
            )
            self.lostAt = nil
        }
        for slot in self.dirty { self.isDirty[slot] = false }
        self.dirty.removeAll(keepingCapacity: true)
        guard self.isLastCheck else { return self.writeNext() }
        if self.readsAll { self.finish() } else { self.readAll() }
    }

    func received(_ reply: RESPValue) {
        switch self.phase {
        case .away, .ended: break
        case .writing(let slot, let write):
            switch reply {
            case .simpleString: self.journal.acknowledge(slot, write: write)
            case .error(let text): self.refused(String(buffer: text))
            default: self.refused("a reply that is no answer to SET")
            }
            // The last check reads everything, those of the writes before it too.
            if self.isLastCheck { self.readAll() } else { self.writeNext() }
        case .reading(let rest, var inFlight):
            guard let slot = inFlight.popFirst() else { return }
            self.phase = .reading(rest: rest, inFlight: inFlight)
            self.judge(slot, reply)
            guard case .reading = self.phase, self.readFailure == nil else { return }
            if rest.isEmpty, inFlight.isEmpty { self.continueReading(rest, inFlight: inFlight) }
        }
    }

    func receivedAll() {
        guard case .reading(let rest, let inFlight) = self.phase, !rest.isEmpty else { return }
        self.continueReading(rest, inFlight: inFlight)
    }

    private func refused(_ text: String) {
        // An error that says UNKNOWN leaves the write as one that may be there.
        if text.hasPrefix("UNKNOWN") { return }
        self.result.refused += 1
        if self.result.examples.count < 10 { self.result.examples.append("refused: \(text)") }
    }

    private func judge(_ slot: Int, _ reply: RESPValue) {
        self.result.reads += 1
        let write: UInt64?
        switch reply {
        case .null: write = 0
        case .bulk(let value):
            write = self.settings.value.writeNumber(key: self.key(slot), of: value)
        case .error(let text):
            // A node that starts may refuse reads; what was not read back stays to be read.
            self.readFailure = "a read failed: \(String(buffer: text))"
            self.handler?.close()
            return
        default: write = nil
        }
        let verdict = self.journal.judge(slot, read: write)
        guard verdict != .right else { return }
        if verdict == .lost { self.result.lost += 1 } else { self.result.changed += 1 }
        if self.result.examples.count < 10 {
            let found = write.map { "write \($0)" } ?? "another value"
            self.result.examples.append("\(self.keyBytes(slot)): \(verdict), \(found) was read")
        }
    }

    func closed(_ reason: String) {
        self.handler = nil
        guard !self.isOver else { return }
        guard self.settings.reconnects else {
            return self.fail(self.readFailure ?? "connection lost: \(reason)")
        }
        self.phase = .away
        self.lostAt = self.lostAt ?? .now()
        self.reconnectLater()
    }

    private func reconnectLater() {
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.eventLoop.scheduleTask(in: Self.reconnectPause) {
            guard !bound.value.isOver else { return }
            bound.value.connect().assumeIsolated().whenComplete { result in
                switch result {
                case .success: bound.value.result.reconnects += 1
                case .failure: bound.value.reconnectLater()
                }
            }
        }
    }

    private func fail(_ reason: String) {
        self.result.failure = reason
        self.finish()
    }
}
