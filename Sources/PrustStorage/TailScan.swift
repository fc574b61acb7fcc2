/// What stands in the last segment, where a crash may have left anything behind its last group.
///
/// A group is written only after the one before it was made durable. So damage before a record of
/// a later group is corruption: it has been durable once. Damage that no later group follows is
/// the torn end of a group that nobody was told of.
struct TailScan: Sendable {
    /// Where the last valid record ends.
    private(set) var end = UInt64(SegmentHeader.byteCount)
    /// Where the last group begins, `nil` without any.
    private(set) var groupOffset: UInt32?
    /// Where the last group's first valid record begins.
    private(set) var groupFirstRecord = UInt64(SegmentHeader.byteCount)
    /// The last group is a marker: it proves that all before it is durable.
    private(set) var isMarker = false
    private(set) var corruptRegions: [CorruptRegion] = []
    /// Damage in or behind the last group.
    private(set) var tornRegions: [CorruptRegion] = []

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
                    self.corruptRegions += pending.filter { $0.offset < header.groupOffset }
                    pending.removeAll { $0.offset < header.groupOffset }
                }
                self.isMarker = header.isMarker
                self.end =
                    UInt64(offset) + UInt64(RecordCodec.paddedByteCount(Int(header.byteCount)))
            }
        }
        self.tornRegions = pending
    }
}
