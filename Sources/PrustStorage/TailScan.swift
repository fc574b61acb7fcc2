/// What stands in the last segment, where a crash may have left anything behind its last group.
///
/// A group is written only after the one before it was made durable. So damage before a record of
/// a later group is corruption: it has been durable once. Damage that no later group follows is
/// the torn end of a group that nobody was told of. But a crash does not make blocks unreadable:
/// what a disk cannot read may have been durable, so it stays where it is.
struct TailScan: Sendable {
    /// Where the last valid record ends.
    private(set) var end = UInt64(SegmentHeader.byteCount)
    /// Where the last group begins, `nil` without any.
    private(set) var groupOffset: UInt32?
    /// Where the last group's first valid record begins.
    private(set) var groupFirstRecord = UInt64(SegmentHeader.byteCount)
    /// Valid records of the last group.
    private(set) var groupRecordCount = 0
    /// The last group is a marker: it proves that all before it is durable.
    private(set) var isMarker = false
    private(set) var corruptRegions: [CorruptRegion] = []
    /// Damage in or behind the last group.
    private(set) var tornRegions: [CorruptRegion] = []
    /// Where the segment must end, since there is damage in or behind its last group that nobody
    /// may cut off; `nil` without any.
    private(set) var keptEnd: UInt64?
    /// Length of the file.
    private let byteCount: UInt64

    var torn: CorruptRegion? {
        guard let first = self.tornRegions.first, let last = self.tornRegions.last else {
            return nil
        }
        var whole = first
        whole.byteCount = UInt64(last.offset) + last.byteCount - UInt64(first.offset)
        return whole
    }

    /// There is a group that may never have been made durable.
    var isDoubtful: Bool { self.groupOffset != nil && !self.isMarker }

    init(
        file: any File,
        segment: UInt32,
        seed: RecordSeed,
        byteCount: UInt64
    ) throws(FileError) {
        self.byteCount = byteCount
        var scanner = SegmentScanner(file: file, seed: seed, from: self.end, limit: byteCount)
        var pending: [CorruptRegion] = []
        scan: while true {
            switch try scanner.next() {
            case .end:
                break scan
            case .damage(let offset, let byteCount, let usedByteCount):
                let isTail = UInt64(offset) + byteCount >= scanner.limit
                guard usedByteCount > 0 || !isTail else { break }
                pending.append(
                    CorruptRegion(
                        segment: segment,
                        offset: offset,
                        byteCount: isTail ? usedByteCount : byteCount
                    )
                )
            case .record(let header, let offset, _):
                if header.groupOffset != self.groupOffset {
                    self.groupOffset = header.groupOffset
                    self.groupFirstRecord = UInt64(offset)
                    self.groupRecordCount = 0
                    self.corruptRegions += pending.filter { $0.offset < header.groupOffset }
                    pending.removeAll { $0.offset < header.groupOffset }
                }
                self.groupRecordCount += 1
                self.isMarker = header.isMarker
                self.end =
                    UInt64(offset) + UInt64(RecordCodec.paddedByteCount(Int(header.byteCount)))
            }
        }
        self.tornRegions = pending
        for region in pending {
            let start = UInt64(region.offset)
            guard scanner.isUnreadable(start..<start + region.byteCount) else { continue }
            if start == self.end, try Self.isZero(file, at: start) { continue }
            // How long the last record was is not known.
            self.keep(through: byteCount)
            break
        }
    }

    /// Zeros stand where the next group would begin: there is none, whatever comes behind them.
    private static func isZero(_ file: any File, at offset: UInt64) throws(FileError) -> Bool {
        let byteCount = RecordCodec.headerByteCount
        let start = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 8)
        defer { start.deallocate() }
        do throws(FileError) {
            let readCount = try file.read(into: start, at: offset)
            return readCount == byteCount && start.allSatisfy { $0 == 0 }
        } catch {
            guard error.isDiskFailure else { throw error }
            return false
        }
    }

    /// Takes damage in and behind the last group for what it is elsewhere: loss of something that
    /// may have been durable.
    ///
    /// - Parameter end: Where the damage ends at the latest, if it is behind the last record.
    private mutating func keep(through end: UInt64) {
        guard let last = self.tornRegions.last else { return }
        self.keptEnd = UInt64(last.offset) < self.end ? self.end : end
        self.corruptRegions += self.tornRegions
        self.tornRegions = []
    }

    /// Learns that everything before an offset has been durable, so that damage there is no torn
    /// tail.
    ///
    /// - Parameter offset: Where a group ended.
    /// - Returns: False if records before the offset are gone without a trace: the file is too
    ///   short, or there are only zeros.
    mutating func prove(through offset: UInt64) -> Bool {
        var isWhole = true
        if offset > self.end { isWhole = self.stretch(to: offset) }
        if let first = self.tornRegions.first, let last = self.tornRegions.last,
            UInt64(first.offset) < offset
        {
            self.keep(through: UInt64(last.offset) + last.byteCount)
        }
        return isWhole
    }

    /// Lets the damage behind the last record reach as far as there have been records.
    ///
    /// - Returns: False if there is no damage behind the last record, or the file is too short.
    private mutating func stretch(to offset: UInt64) -> Bool {
        let isKept = self.keptEnd != nil
        let regions = isKept ? self.corruptRegions : self.tornRegions
        guard offset <= self.byteCount, var region = regions.last,
            UInt64(region.offset) == self.end
        else { return false }
        guard offset - self.end >= region.byteCount else { return true }
        region.byteCount = offset - self.end
        if isKept {
            self.corruptRegions[regions.count - 1] = region
            self.keptEnd = offset
        } else {
            self.tornRegions[regions.count - 1] = region
        }
        return true
    }
}
