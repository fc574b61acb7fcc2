import NIOConcurrencyHelpers
import PrustCore
package import PrustStorage
import PrustTLS
import Synchronization

/// The keys and values of one node: stripes in memory over a log and an index on disk.
///
/// A command runs to its end on its client's event loop, under the lock of the key's stripe,
/// against the newest state, durable or not. What it wrote goes to the log's queue; its reply
/// names the number of the newest record that it depends on and is held back until the log has
/// made that number durable. So nobody ever learns of a write that a crash could take back, and
/// nobody waits for the disk while holding anything.
package final class Engine: Sendable {
    package enum State: Int, Sendable {
        case serving
        /// The log failed: the storage is being opened again, every command is refused.
        case recovering
        /// The disk is full: what would write is refused.
        case diskFull
        case stopped
    }

    package struct Options: Sendable {
        package var directory: String
        package var storage: StorageOptions
        package var partitionBitCount = 10
        package var stripeCount = 16
        package var cacheByteCount = 256 * 1024 * 1024
        package var sweepEntryCount = 200_000
        package var sweepByteCount = 64 * 1024 * 1024
        package var queueByteCountMax = 64 * 1024 * 1024
        /// Bytes of the log that a crash may leave to read, whatever few keys they are of.
        package var tailByteCountMax = 256 * 1024 * 1024
        /// Memory of records not yet in the index above which clients are not read from.
        package var dirtyByteCountMax: Int { 8 * self.sweepByteCount }
        package var diskThreadCount = 4

        package init(directory: String, storage: StorageOptions) {
            self.directory = directory
            self.storage = storage
        }
    }

    /// A range of record numbers whose writes were lost together, and how.
    package struct LogFailure: Sendable {
        package var after: UInt64
        package var through: UInt64
        package var outcome: Outcome
        package var reason: String

        package enum Outcome: String, Sendable {
            case notApplied = "NOTAPPLIED"
            case unknown = "UNKNOWN"
        }
    }

    struct Shared {
        var storage: Storage?
        var failures: [LogFailure] = []
        var listeners: [@Sendable () -> Void] = []
        var observer: (any EngineObserver)?
        /// The newest record whose place is known to its entry, and the log's end then.
        var assigned: (sequence: UInt64, position: LogPosition)
        /// Bytes of the log between the index's position and that end, or a few more.
        var tailByteCount = 0
        /// The lock of the directory while the storage is closed to be opened again.
        var lock: (any File)?
        var report: RecoveryReport?
        var counters = LogCounters()
        var spare: SegmentSpare?
        var stateReason = ""
    }

    package let options: Options
    let fileSystem: any FileSystem
    let stripes: [Stripe]
    let stripeShift: UInt64
    let queue = LogQueue(lastSequence: 0)
    let shared: Mutex<Shared>
    let durableSequence = Atomic<UInt64>(0)
    let stateCode = Atomic<Int>(State.recovering.rawValue)
    let lastHLC = Atomic<UInt64>(0)
    let round = Atomic<UInt32>(0)
    /// Held during a sweep and while the storage is opened again: never both at once.
    let maintenance = Mutex(())
    let sweepSignal = ConditionLock(value: false)
    let isStopping = Atomic<Bool>(false)
    let sweepCount = Atomic<UInt64>(0)
    /// Bytes of the memtable as the log's or the maintenance thread saw them last.
    let dirtyByteCount = Atomic<Int>(0)
    let generationCount = Atomic<UInt64>(0)
    let loadCount = Atomic<UInt64>(0)
    let recoveryNanoseconds = Atomic<Int64>(0)

    package init(
        options: Options,
        fileSystem: any FileSystem,
        hashSeed: UInt64,
        observer: (any EngineObserver)?
    ) {
        precondition(options.stripeCount.nonzeroBitCount == 1, "stripes are a power of two")
        self.options = options
        self.fileSystem = fileSystem
        let partitionCount = 1 << options.partitionBitCount
        let stripeCount = min(options.stripeCount, partitionCount)
        let each = partitionCount / stripeCount
        self.stripes = (0..<stripeCount).map { index in
            Stripe(
                index: index,
                partitions: index * each..<(index + 1) * each,
                partitionBitCount: options.partitionBitCount,
                hashSeed: hashSeed
            )
        }
        self.stripeShift = UInt64(64 - stripeCount.trailingZeroBitCount)
        self.shared = Mutex(
            Shared(assigned: (0, LogPosition(segment: 0, offset: 0)))
        )
        self.shared.withLock { $0.observer = observer }
    }

    package var state: State {
        State(rawValue: self.stateCode.load(ordering: .acquiring)) ?? .stopped
    }

    /// The number up to which every record is durable, or known to have failed.
    package var durable: UInt64 { self.durableSequence.load(ordering: .acquiring) }

    /// The number of times that memory was forgotten and the storage opened again.
    ///
    /// What waited for the log is lost then, what comes after is not. A command with several
    /// writes reads this before the first of them and once more after the last: if it has grown,
    /// the first may be lost although the last becomes durable.
    package var generation: UInt64 { self.generationCount.load(ordering: .acquiring) }

    @inline(__always)
    func stripe(of keyID: KeyID) -> Stripe {
        // A shift of 64, with a single stripe, gives 0 in Swift.
        self.stripes[Int(truncatingIfNeeded: keyID.identifier.word0 >> self.stripeShift)]
    }

    /// Adds a function that is called, on the log's thread, when records became durable or failed.
    package func addListener(_ listener: @escaping @Sendable () -> Void) {
        self.shared.withLock { $0.listeners.append(listener) }
    }

    /// Failures whose writes come after record `sequence`.
    package func failures(after sequence: UInt64) -> [LogFailure] {
        self.shared.withLock { shared in shared.failures.filter { $0.through > sequence } }
    }

    /// The term of this run: a new ballot for every start, so that nothing written before can be
    /// above what is written now, whatever the clock says (protocol rule 9).
    @inline(__always)
    var term: Ballot { Ballot(epoch: 1, round: self.round.load(ordering: .relaxed), index: 1) }

    /// A reading of the hybrid clock above all earlier ones, for whichever thread asks.
    func nextHLC(wall: WallTime) -> UInt64 {
        var last = self.lastHLC.load(ordering: .relaxed)
        while true {
            var clock = HybridClock(last: last)
            let next = clock.next(wall: wall)
            let (exchanged, original) = self.lastHLC.weakCompareExchange(
                expected: last,
                desired: next,
                ordering: .relaxed
            )
            if exchanged { return next }
            last = original
        }
    }

    /// True while so much waits for the disk that clients should not send more.
    package var isCongested: Bool {
        self.queue.queuedByteCount.load(ordering: .relaxed) > self.options.queueByteCountMax
            || self.dirtyByteCount.load(ordering: .relaxed) > self.options.dirtyByteCountMax
    }

    /// Wakes the log's thread; to be called once after each batch of commands that wrote.
    package func flush() {
        self.queue.signal()
    }

    /// A number that grows while the log's thread makes progress, for the watchdog.
    package var logHeartbeat: UInt64 { self.queue.heartbeat.load(ordering: .relaxed) }
}

/// What the engine tells the world: metrics and the journal.
package protocol EngineObserver: Sendable {
    /// A group of records became durable.
    func groupCommitted(recordCount: Int, byteCount: Int, nanoseconds: UInt64)
    func logFailed(reason: String, outcome: Engine.LogFailure.Outcome)
    /// The index has stopped; the storage is opened again.
    func indexFailed(reason: String)
    func recovered(_ report: RecoveryReport)
    func recoveryProgress(_ progress: RecoveryProgress)
    /// The state is another one, or there is another reason for it.
    func stateChanged(_ state: Engine.State, reason: String)
    func swept(recordCount: Int, nanoseconds: UInt64)
    func sweepFailed(reason: String)
    func readFailed(_ error: String, isCorruption: Bool)
}
