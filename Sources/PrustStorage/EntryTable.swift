package import PrustCore

/// The newest known record of every key that is in memory, for one stripe of the key space.
///
/// One table is memtable and read cache at once. A *dirty* entry is in the log but not yet in the
/// index: it stays until a sweep has put it there. A *clean* entry repeats what the index and the
/// segments say, so it can go at any time; SIEVE chooses which (Zhang et al., NSDI 2024).
/// A clean entry may also say that a key has no record, so that a miss costs one look.
///
/// The table owns raw memory and checks no access: whoever holds the stripe's lock may call it.
/// Entry numbers stay valid while an entry is dirty, and until the next insertion otherwise.
package final class EntryTable {
    /// What the index says of a key with a dirty entry; decides what the entry adds to the count.
    package enum Base: UInt8 {
        case unknown
        case absent
        case live
    }

    package struct Entry {
        package var keyID: KeyID
        package var version: Version
        package var expiresAt: Int64
        /// Number of the log record, 0 for an entry that came from the index.
        package var sequence: UInt64
        package var location: Location
        /// The key's bytes, then the value's.
        var block: UnsafeMutableRawPointer?
        var blockByteCount: UInt32
        package var valueByteCount: UInt32
        package var keyByteCount: UInt16
        package var isTombstone: Bool
        package var isDirty: Bool
        /// False when only the location is kept, not the bytes.
        package var hasValue: Bool
        package var base: Base
        var isVisited: Bool
        var isUsed: Bool
        /// The next dirty entry of the partition, or the newer neighbour in the SIEVE queue.
        var next: UInt32
        /// The older neighbour in the SIEVE queue.
        var previous: UInt32

        package var key: UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(start: self.block, count: Int(self.keyByteCount))
        }

        package var value: UnsafeRawBufferPointer {
            guard let block = self.block, self.hasValue else { return .init(start: nil, count: 0) }
            return UnsafeRawBufferPointer(
                start: block + Int(self.keyByteCount),
                count: Int(self.valueByteCount)
            )
        }
    }

    /// The number of an entry, beside bits of its key's hash: to pass over other keys' entries
    /// costs no look at them, each of which would be a cache miss.
    private struct Slot {
        var tag: UInt32
        var index: UInt32

        static let free = Self(tag: 0, index: EntryTable.none)
    }

    static let none = UInt32.max
    /// Bytes that an entry costs beside its key and value, slots included.
    package static let overheadByteCount = MemoryLayout<Entry>.stride + 24

    let partitionBitCount: Int
    let firstPartition: Int
    private let hashSeed: UInt64
    private var slots: UnsafeMutablePointer<Slot>
    private var slotMask: Int
    private(set) package var entries: UnsafeMutablePointer<Entry>
    private var entryCapacity: Int
    private var entryEnd = 0
    private var freeHead = EntryTable.none
    private(set) package var count = 0

    var dirtyHeads: [UInt32]
    package internal(set) var dirtyCount = 0
    package internal(set) var dirtyByteCount = 0
    package internal(set) var cleanCount = 0
    package internal(set) var cleanByteCount = 0
    /// Live dirty entries minus live keys of the index below them, as far as the base is known.
    package internal(set) var liveDelta = 0
    package internal(set) var unknownBaseCount = 0
    package internal(set) var evictionCount: UInt64 = 0

    // The SIEVE queue: newest at the head, the hand walks from the tail towards the head.
    var queueHead = EntryTable.none
    var queueTail = EntryTable.none
    var queueHand = EntryTable.none

    /// Makes an empty table for `partitionCount` partitions from `firstPartition` on.
    ///
    /// The seed must be random and secret in the daemon: key IDs can be searched for.
    package init(
        firstPartition: Int,
        partitionCount: Int,
        partitionBitCount: Int,
        hashSeed: UInt64
    ) {
        self.firstPartition = firstPartition
        self.partitionBitCount = partitionBitCount
        self.hashSeed = hashSeed | 1
        self.slotMask = 1023
        self.slots = .allocate(capacity: 1024)
        self.slots.initialize(repeating: .free, count: 1024)
        self.entryCapacity = 512
        self.entries = .allocate(capacity: 512)
        self.dirtyHeads = Array(repeating: Self.none, count: partitionCount)
    }

    deinit {
        for index in 0..<self.entryEnd where self.entries[index].isUsed {
            self.entries[index].block?.deallocate()
        }
        self.entries.deallocate()
        self.slots.deallocate()
    }

    /// Forgets everything, as after a log that failed.
    package func removeAll() {
        for index in 0..<self.entryEnd where self.entries[index].isUsed {
            self.entries[index].block?.deallocate()
        }
        self.entryEnd = 0
        self.freeHead = Self.none
        self.count = 0
        self.slots.update(repeating: .free, count: self.slotMask + 1)
        for index in self.dirtyHeads.indices { self.dirtyHeads[index] = Self.none }
        (self.dirtyCount, self.dirtyByteCount, self.cleanCount, self.cleanByteCount) = (0, 0, 0, 0)
        (self.liveDelta, self.unknownBaseCount) = (0, 0)
        (self.queueHead, self.queueTail, self.queueHand) = (Self.none, Self.none, Self.none)
    }

    // MARK: Finding

    @inline(__always)
    private func hash(of keyID: KeyID) -> UInt64 {
        let mixed = (keyID.identifier.word3 ^ self.hashSeed) &* 0x9E37_79B9_7F4A_7C15
        return (mixed ^ (mixed >> 32)) &* self.hashSeed
    }

    @inline(__always)
    private func slot(of hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash >> 32) & self.slotMask
    }

    /// The number of a key's entry, or `nil`.
    package func find(_ keyID: KeyID) -> Int? {
        let hash = self.hash(of: keyID)
        let tag = UInt32(truncatingIfNeeded: hash)
        let (slots, mask, entries) = (self.slots, self.slotMask, self.entries)
        var slot = self.slot(of: hash)
        while true {
            let found = slots[slot]
            if found.index == Self.none { return nil }
            if found.tag == tag, entries[Int(found.index)].keyID == keyID {
                return Int(found.index)
            }
            slot = (slot + 1) & mask
        }
    }

    /// Puts an entry's number into the first free slot of its key.
    private func link(_ index: Int) {
        let hash = self.hash(of: self.entries[index].keyID)
        var slot = self.slot(of: hash)
        while self.slots[slot].index != Self.none { slot = (slot + 1) & self.slotMask }
        self.slots[slot] = Slot(tag: UInt32(truncatingIfNeeded: hash), index: UInt32(index))
    }

    /// Notes a use, so that SIEVE keeps the entry for another round of its hand.
    @inline(__always)
    package func touch(_ index: Int) {
        self.entries[index].isVisited = true
    }

    // MARK: Inserting and removing

    /// Takes a free entry for a key that has none; the caller fills it and links it.
    func insert(_ keyID: KeyID) -> Int {
        if self.count * 4 >= (self.slotMask + 1) * 3 { self.growSlots() }
        let index = self.takeEntry()
        self.entries[index] = Entry(
            keyID: keyID,
            version: .zero,
            expiresAt: 0,
            sequence: 0,
            location: .none,
            block: nil,
            blockByteCount: 0,
            valueByteCount: 0,
            keyByteCount: 0,
            isTombstone: false,
            isDirty: false,
            hasValue: false,
            base: .unknown,
            isVisited: false,
            isUsed: true,
            next: Self.none,
            previous: Self.none
        )
        self.link(index)
        self.count += 1
        return index
    }

    /// Gives an unlinked entry back; closes the gap in its probe sequence.
    func remove(_ index: Int) {
        var hole = self.slot(of: self.hash(of: self.entries[index].keyID))
        while self.slots[hole].index != UInt32(index) { hole = (hole + 1) & self.slotMask }
        var probe = hole
        while true {
            probe = (probe + 1) & self.slotMask
            let candidate = self.slots[probe]
            if candidate.index == Self.none { break }
            let home = self.slot(of: self.hash(of: self.entries[Int(candidate.index)].keyID))
            if (probe - home) & self.slotMask >= (probe - hole) & self.slotMask {
                self.slots[hole] = candidate
                hole = probe
            }
        }
        self.slots[hole] = .free
        self.entries[index].block?.deallocate()
        self.entries[index].block = nil
        self.entries[index].isUsed = false
        self.entries[index].next = self.freeHead
        self.freeHead = UInt32(index)
        self.count -= 1
    }

    private func takeEntry() -> Int {
        if self.freeHead != Self.none {
            let index = Int(self.freeHead)
            self.freeHead = self.entries[index].next
            return index
        }
        if self.entryEnd == self.entryCapacity {
            let grown = UnsafeMutablePointer<Entry>.allocate(capacity: self.entryCapacity * 2)
            grown.moveInitialize(from: self.entries, count: self.entryEnd)
            self.entries.deallocate()
            self.entries = grown
            self.entryCapacity *= 2
        }
        self.entryEnd += 1
        return self.entryEnd - 1
    }

    private func growSlots() {
        self.slots.deallocate()
        let count = (self.slotMask + 1) * 2
        self.slotMask = count - 1
        self.slots = .allocate(capacity: count)
        self.slots.initialize(repeating: .free, count: count)
        for index in 0..<self.entryEnd where self.entries[index].isUsed { self.link(index) }
    }

    /// Makes room for a key and a value in the entry's block and copies the key there.
    ///
    /// Returns the place of the value; what was in the block before is gone.
    func reserve(
        _ index: Int,
        key: UnsafeRawBufferPointer,
        valueByteCount: Int
    ) -> UnsafeMutableRawPointer {
        let needed = key.count + valueByteCount
        let capacity = Int(self.entries[index].blockByteCount)
        var block = self.entries[index].block
        if block == nil || needed > capacity || (capacity > 256 && needed < capacity / 2) {
            block?.deallocate()
            let rounded = Swift.max((needed + 15) & ~15, 16)
            block = .allocate(byteCount: rounded, alignment: 16)
            self.entries[index].block = block
            self.entries[index].blockByteCount = UInt32(rounded)
        }
        guard let place = block else { preconditionFailure("the block was just made") }
        if let source = key.baseAddress { place.copyMemory(from: source, byteCount: key.count) }
        self.entries[index].keyByteCount = UInt16(key.count)
        self.entries[index].valueByteCount = UInt32(valueByteCount)
        self.entries[index].hasValue = true
        return place + key.count
    }

    /// Bytes that an entry accounts for.
    @inline(__always)
    func byteCount(of index: Int) -> Int {
        Self.overheadByteCount + Int(self.entries[index].blockByteCount)
    }
}

extension Location {
    /// The place of a record that the log has not written yet.
    package static let none = Self(segment: 0, offset: 0, byteCount: 0)
}
