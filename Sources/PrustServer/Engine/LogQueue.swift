import Glibc
import NIOConcurrencyHelpers
import PrustCore
import PrustStorage
import Synchronization

/// The queue between the event loops, which append records, and the one thread that writes them.
///
/// Sequence numbers are given in the order of the queue, so that one number says what is durable.
/// A record is appended under the lock of its key's stripe: the order of the queue is the order of
/// the records of each key.
final class LogQueue: @unchecked Sendable {  // tidy:allow the batch is touched under the lock only
    /// What the writer may do next.
    private enum Signal {
        case idle
        case ready
    }

    private let condition = ConditionLock(value: Signal.idle)
    private var waiting = PendingBatch()
    private var spare: PendingBatch? = PendingBatch()
    private var lastSequence: UInt64
    private var isClosed = false
    private var isInterrupted = false
    // Of the batch taken last; used by the writer only.
    private var lastCount = 0
    private var lastNanoseconds: Int64 = 0
    /// Grows whenever the writer looks at the queue, also when it is only asked for a sign.
    let heartbeat = Atomic<UInt64>(0)
    /// Bytes appended and not yet durable, for back-pressure.
    let queuedByteCount = Atomic<Int>(0)

    init(lastSequence: UInt64) {
        self.lastSequence = lastSequence
    }

    /// What an appended record consists of, beside its bytes.
    struct Header {
        var keyID: KeyID
        var version: Version
        var expiresAt: Int64
        var writtenAt: UInt64
        var isTombstone: Bool
        var stripe: Int
    }

    /// Appends a record; returns its number and its place, for ``setEntry(_:at:)``.
    ///
    /// `place` is called with the number while the queue is locked, and answers the table's entry.
    func append(
        _ header: Header,
        key: UnsafeRawBufferPointer,
        value: EntryTable.ValueParts,
        place: (UInt64) -> Int
    ) -> UInt64 {
        self.condition.lock()
        defer { self.condition.unlock() }
        self.lastSequence += 1
        let entry = place(self.lastSequence)
        let offset = self.waiting.copy(key: key, first: value.first, second: value.second)
        self.waiting.items.append(
            PendingBatch.Item(
                keyID: header.keyID,
                version: header.version,
                expiresAt: header.expiresAt,
                writtenAt: header.writtenAt,
                sequence: self.lastSequence,
                offset: offset,
                valueByteCount: value.byteCount,
                entry: UInt32(entry),
                stripe: UInt16(header.stripe),
                keyByteCount: UInt16(key.count),
                isTombstone: header.isTombstone
            )
        )
        self.queuedByteCount.wrappingAdd(key.count + value.byteCount + 64, ordering: .relaxed)
        return self.lastSequence
    }

    /// Wakes the writer: called once for all that a wake-up of a loop appended.
    func signal() {
        self.condition.lock()
        self.condition.unlock(withValue: .ready)
    }

    /// Makes ``take()`` answer now, with an empty batch if need be.
    func interrupt() {
        self.condition.lock()
        self.isInterrupted = true
        self.condition.unlock(withValue: .ready)
    }

    /// Waits for records and takes all of them; `nil` after ``close()``, once none are left.
    ///
    /// The batch belongs to the caller until it gives it back with ``recycle(_:nanoseconds:)``.
    func take() -> PendingBatch? {
        self.condition.lock()
        while self.waiting.items.isEmpty, !self.isInterrupted {
            if self.isClosed {
                self.condition.unlock()
                return nil
            }
            self.condition.unlock(withValue: .idle)
            self.condition.lock(whenValue: .ready)
            self.heartbeat.wrappingAdd(1, ordering: .relaxed)
        }
        self.isInterrupted = false
        self.gather()
        self.lastCount = self.waiting.items.count
        let batch = self.waiting
        self.waiting = self.spare ?? PendingBatch()
        self.spare = nil
        self.condition.unlock()
        return batch
    }

    /// Lets a small group grow while records keep coming, called with the queue locked.
    ///
    /// A sync costs as much processor time as several commands, so many small groups slow down
    /// the very loops whose records they wait for; very large ones leave the loops without work
    /// while the disk is busy. Records that come alone, as from one client that waits for each
    /// reply, are not delayed; others for no longer than their sync takes.
    private func gather() {
        guard self.lastCount > 1 else { return }
        var budget = min(self.lastNanoseconds, Self.gatherNanosecondsMax)
        var dryPauses = 0
        while budget > 0, dryPauses < 2, !self.isClosed {
            let count = self.waiting.items.count
            guard count < Self.gatherCountMax else { return }
            self.condition.unlock()
            Clocks.pause(nanoseconds: Self.pauseNanoseconds)
            self.condition.lock()
            budget -= Self.pauseNanoseconds
            dryPauses = self.waiting.items.count == count ? dryPauses + 1 : 0
        }
    }

    /// Long enough for a few more commands, short beside the sync of any disk.
    private static let pauseNanoseconds: Int64 = 60_000
    private static let gatherCountMax = 20
    private static let gatherNanosecondsMax: Int64 = 1_000_000

    /// Takes a batch back that was written and synced in `nanoseconds`.
    func recycle(_ batch: PendingBatch, nanoseconds: Int64) {
        self.lastNanoseconds = nanoseconds
        self.queuedByteCount.wrappingSubtract(Self.byteCount(of: batch), ordering: .relaxed)
        batch.removeAll()
        self.condition.lock()
        self.spare = batch
        self.condition.unlock()
    }

    /// The number of the newest record.
    var last: UInt64 {
        self.condition.lock()
        defer { self.condition.unlock() }
        return self.lastSequence
    }

    /// Drops what waits, as after a failure; returns the number of the newest record.
    ///
    /// The number after it is left to the records that recovery finds.
    func discard() -> UInt64 {
        self.condition.lock()
        defer { self.condition.unlock() }
        let byteCount = Self.byteCount(of: self.waiting)
        self.queuedByteCount.wrappingSubtract(byteCount, ordering: .relaxed)
        self.waiting.removeAll()
        self.lastSequence += 1
        return self.lastSequence - 1
    }

    private static func byteCount(of batch: PendingBatch) -> Int {
        batch.items.reduce(0) { $0 + Int($1.keyByteCount) + $1.valueByteCount + 64 }
    }

    func close() {
        self.condition.lock()
        self.isClosed = true
        self.condition.unlock(withValue: .ready)
    }
}
