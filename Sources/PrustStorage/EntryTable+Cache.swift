package import PrustCore

/// The read cache's half: entries that repeat the index, kept by SIEVE within a byte budget.
extension EntryTable {
    /// Keeps what a read of index and segments found; a record that is there already stays.
    ///
    /// Returns the entry's number.
    @discardableResult
    package func cache(
        _ keyID: KeyID,
        key: UnsafeRawBufferPointer,
        value: UnsafeRawBufferPointer,
        version: Version,
        expiresAt: Int64,
        location: Location
    ) -> Int {
        if let index = self.find(keyID) { return index }
        let index = self.insert(keyID)
        let place = self.reserve(index, key: key, valueByteCount: value.count)
        if let source = value.baseAddress {
            place.copyMemory(from: source, byteCount: value.count)
        }
        self.entries[index].version = version
        self.entries[index].expiresAt = expiresAt
        self.entries[index].location = location
        self.linkClean(index)
        return index
    }

    /// Keeps that a key is absent: no record at all (version zero), or a tombstone.
    @discardableResult
    package func cacheAbsence(_ keyID: KeyID, version: Version) -> Int {
        if let index = self.find(keyID) { return index }
        let index = self.insert(keyID)
        self.entries[index].version = version
        self.entries[index].isTombstone = true
        self.entries[index].hasValue = true
        self.linkClean(index)
        return index
    }

    /// Drops clean entries until they take at most `byteCountMax` bytes.
    ///
    /// The entry `kept`, which a command is about to read, stays even if it alone is larger.
    package func evict(toByteCount byteCountMax: Int, keeping kept: Int? = nil) {
        if let kept { self.entries[kept].isVisited = true }
        while self.cleanByteCount > byteCountMax, self.queueTail != Self.none {
            if let kept, self.cleanCount == 1, Int(self.queueTail) == kept { return }
            var candidate = self.queueHand == Self.none ? self.queueTail : self.queueHand
            while self.entries[Int(candidate)].isVisited || Int(candidate) == kept {
                self.entries[Int(candidate)].isVisited = false
                let newer = self.entries[Int(candidate)].next
                candidate = newer == Self.none ? self.queueTail : newer
            }
            self.queueHand = candidate
            self.unlinkClean(Int(candidate))
            self.remove(Int(candidate))
            self.evictionCount += 1
        }
    }

    func linkClean(_ index: Int) {
        self.entries[index].isVisited = false
        self.entries[index].next = Self.none
        self.entries[index].previous = self.queueHead
        if self.queueHead != Self.none { self.entries[Int(self.queueHead)].next = UInt32(index) }
        self.queueHead = UInt32(index)
        if self.queueTail == Self.none { self.queueTail = UInt32(index) }
        self.cleanCount += 1
        self.cleanByteCount += self.byteCount(of: index)
    }

    func unlinkClean(_ index: Int) {
        let newer = self.entries[index].next
        let older = self.entries[index].previous
        if self.queueHand == UInt32(index) { self.queueHand = newer }
        if newer == Self.none {
            self.queueHead = older
        } else {
            self.entries[Int(newer)].previous = older
        }
        if older == Self.none {
            self.queueTail = newer
        } else {
            self.entries[Int(older)].next = newer
        }
        self.cleanCount -= 1
        self.cleanByteCount -= self.byteCount(of: index)
    }
}
