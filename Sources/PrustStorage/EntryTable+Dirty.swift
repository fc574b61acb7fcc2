package import PrustCore

/// The memtable's half: records that are in the log and not yet in the index.
extension EntryTable {
    /// The parts of a value, joined by the table: what APPEND and SETRANGE need without a copy.
    package struct ValueParts {
        package var first: UnsafeRawBufferPointer
        package var second: UnsafeRawBufferPointer

        package init(
            _ first: UnsafeRawBufferPointer,
            _ second: UnsafeRawBufferPointer = .init(start: nil, count: 0)
        ) {
            self.first = first
            self.second = second
        }

        package var byteCount: Int { self.first.count + self.second.count }
    }

    /// Puts a record that was just given to the log as number `sequence`.
    ///
    /// The parts must not point into this table. The base of a key that was not in memory is
    /// unknown; of one that was clean it is what the entry said.
    package func put(
        _ keyID: KeyID,
        key: UnsafeRawBufferPointer,
        value: ValueParts,
        version: Version,
        expiresAt: Int64,
        isTombstone: Bool,
        sequence: UInt64
    ) -> Int {
        let index: Int
        if let found = self.find(keyID) {
            index = found
            if self.entries[index].isDirty {
                self.discount(index)
            } else {
                self.unlinkClean(index)
                let wasLive = !self.entries[index].isTombstone
                self.entries[index].base = wasLive ? .live : .absent
                self.linkDirty(index)
            }
        } else {
            index = self.insert(keyID)
            self.entries[index].base = .unknown
            self.linkDirty(index)
        }
        let place = self.reserve(index, key: key, valueByteCount: value.byteCount)
        if let source = value.first.baseAddress {
            place.copyMemory(from: source, byteCount: value.first.count)
        }
        if let source = value.second.baseAddress {
            (place + value.first.count).copyMemory(from: source, byteCount: value.second.count)
        }
        self.entries[index].version = version
        self.entries[index].expiresAt = expiresAt
        self.entries[index].isTombstone = isTombstone
        self.entries[index].sequence = sequence
        self.entries[index].location = .none
        self.entries[index].isVisited = true
        self.account(index)
        return index
    }

    /// Notes what the index says of a dirty key, as a look into it has just shown.
    package func resolveBase(_ index: Int, isLive: Bool) {
        guard self.entries[index].isDirty, self.entries[index].base == .unknown else { return }
        self.discount(index)
        self.entries[index].base = isLive ? .live : .absent
        self.account(index)
    }

    /// Notes where the log put record `sequence`; a newer record of the key makes this void.
    ///
    /// A value above `keptByteCountMax` is dropped from memory: it can be read again.
    package func assign(
        _ location: Location,
        to index: Int,
        sequence: UInt64,
        keptByteCountMax: Int
    ) {
        guard self.entries[index].sequence == sequence, self.entries[index].isDirty else { return }
        self.entries[index].location = location
        if Int(self.entries[index].valueByteCount) > keptByteCountMax {
            self.discount(index)
            self.dropValue(index)
            self.account(index)
        }
    }

    /// Puts a record that recovery found in the tail of the log, without its value.
    ///
    /// Returns false if a record of a higher version is there already.
    @discardableResult
    package func recover(
        _ keyID: KeyID,
        key: UnsafeRawBufferPointer,
        version: Version,
        expiresAt: Int64,
        isTombstone: Bool,
        valueByteCount: Int,
        sequence: UInt64,
        location: Location
    ) -> Bool {
        if let found = self.find(keyID), version < self.entries[found].version { return false }
        let index = self.put(
            keyID,
            key: key,
            value: ValueParts(.init(start: nil, count: 0)),
            version: version,
            expiresAt: expiresAt,
            isTombstone: isTombstone,
            sequence: sequence
        )
        self.entries[index].location = location
        self.entries[index].valueByteCount = UInt32(valueByteCount)
        self.entries[index].hasValue = isTombstone
        return true
    }

    /// Gives an entry whose value was dropped, or is one of recovery, its value back after a read.
    ///
    /// All records that one recovery finds have the same number, so the place that was read must
    /// be that of the entry too; `nil` stands for a number that only one record has.
    package func fill(
        _ index: Int,
        sequence: UInt64,
        location: Location? = nil,
        value: UnsafeRawBufferPointer
    ) {
        guard self.entries[index].sequence == sequence, !self.entries[index].hasValue else {
            return
        }
        if let location, self.entries[index].location != location { return }
        let isDirty = self.entries[index].isDirty
        if isDirty { self.discount(index) } else { self.unlinkClean(index) }
        let key = Array(self.entries[index].key)
        key.withUnsafeBytes { key in
            let place = self.reserve(index, key: key, valueByteCount: value.count)
            if let source = value.baseAddress {
                place.copyMemory(from: source, byteCount: value.count)
            }
        }
        if isDirty { self.account(index) } else { self.linkClean(index) }
    }

    /// One record on its way into the index.
    package struct Swept {
        package var keyID: KeyID
        package var location: Location
        package var version: Version
        package var expiresAt: Int64
        package var isTombstone: Bool
    }

    /// Appends the dirty records of a partition up to number `through`, in key-ID order.
    ///
    /// Returns the number of the newest record that was passed over, 0 if none was: it may hide an
    /// older one of its key that is not above `through`, and that nobody else remembers.
    @discardableResult
    package func collectDirty(
        partition: Int,
        through: UInt64,
        into records: inout [Swept]
    ) -> UInt64 {
        let start = records.count
        var newestPassed: UInt64 = 0
        var index = self.dirtyHeads[partition - self.firstPartition]
        while index != Self.none {
            let entry = self.entries[Int(index)]
            if entry.sequence <= through {
                records.append(
                    Swept(
                        keyID: entry.keyID,
                        location: entry.location,
                        version: entry.version,
                        expiresAt: entry.expiresAt,
                        isTombstone: entry.isTombstone
                    )
                )
            } else {
                newestPassed = Swift.max(newestPassed, entry.sequence)
            }
            index = entry.next
        }
        records[start...].sort { $0.keyID < $1.keyID }
        return newestPassed
    }

    /// Makes the records that `collectDirty` gave out clean: the index has them now.
    package func markSwept(partition: Int, through: UInt64) {
        let head = partition - self.firstPartition
        var index = self.dirtyHeads[head]
        self.dirtyHeads[head] = Self.none
        while index != Self.none {
            let current = Int(index)
            index = self.entries[current].next
            self.discount(current)
            if self.entries[current].sequence <= through {
                self.entries[current].isDirty = false
                self.dirtyCount -= 1
                self.linkClean(current)
            } else {
                // The record that was swept lies below a newer one, which now counts against it:
                // what exactly the index holds is for the next look to find out.
                self.entries[current].base = .unknown
                self.entries[current].next = self.dirtyHeads[head]
                self.dirtyHeads[head] = UInt32(current)
                self.account(current)
            }
        }
    }

    /// Calls `body` for each dirty entry of a partition, in no order.
    package func forEachDirty(partition: Int, _ body: (Int) -> Void) {
        var index = self.dirtyHeads[partition - self.firstPartition]
        while index != Self.none {
            body(Int(index))
            index = self.entries[Int(index)].next
        }
    }

    private func linkDirty(_ index: Int) {
        let partition = self.entries[index].keyID.partition(bitCount: self.partitionBitCount)
        self.entries[index].isDirty = true
        self.entries[index].next = self.dirtyHeads[partition - self.firstPartition]
        self.dirtyHeads[partition - self.firstPartition] = UInt32(index)
        self.dirtyCount += 1
    }

    func dropValue(_ index: Int) {
        let key = Array(self.entries[index].key)
        let valueByteCount = self.entries[index].valueByteCount
        self.entries[index].block?.deallocate()
        self.entries[index].block = nil
        self.entries[index].blockByteCount = 0
        key.withUnsafeBytes { _ = self.reserve(index, key: $0, valueByteCount: 0) }
        self.entries[index].valueByteCount = valueByteCount
        self.entries[index].hasValue = false
    }

    private func account(_ index: Int) {
        self.dirtyByteCount += self.byteCount(of: index)
        let live = self.entries[index].isTombstone ? 0 : 1
        switch self.entries[index].base {
        case .unknown: self.unknownBaseCount += 1
        case .absent: self.liveDelta += live
        case .live: self.liveDelta += live - 1
        }
    }

    private func discount(_ index: Int) {
        self.dirtyByteCount -= self.byteCount(of: index)
        let live = self.entries[index].isTombstone ? 0 : 1
        switch self.entries[index].base {
        case .unknown: self.unknownBaseCount -= 1
        case .absent: self.liveDelta -= live
        case .live: self.liveDelta -= live - 1
        }
    }
}
