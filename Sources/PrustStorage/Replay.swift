internal import PrustCore

/// Reads the log from a position to its end.
struct Replay {
    private static let progressByteCount: UInt64 = 4 * 1024 * 1024

    let directory: SegmentDirectory
    let options: StorageOptions
    let hash: Storage.Hash
    let segments: [Recovery.Segment]
    let end: LogPosition

    /// Bytes from a position to the end.
    func byteCount(from position: LogPosition) -> UInt64 {
        self.ranges(from: position).reduce(0) { $0 + $1.limit - $1.start }
    }

    private func ranges(
        from position: LogPosition
    ) -> [(number: UInt32, start: UInt64, limit: UInt64)] {
        self.segments.compactMap { segment in
            guard segment.number >= position.segment else { return nil }
            var start = UInt64(SegmentHeader.byteCount)
            if segment.number == position.segment { start = max(start, UInt64(position.offset)) }
            return start < segment.limit ? (segment.number, start, segment.limit) : nil
        }
    }

    /// Reads records, and reports damage; markers are left out.
    ///
    /// - Parameters:
    ///   - position: Where to begin.
    ///   - phase: What progress is called.
    ///   - report: Counts and damage go here.
    ///   - progress: Called every few megabytes.
    ///   - body: Called for each record.
    /// - Throws: What reading a segment or `body` throws.
    func run(
        from position: LogPosition,
        phase: RecoveryProgress.Phase,
        _ report: inout RecoveryReport,
        progress: (RecoveryProgress) -> Void,
        body: (RecordHeader, KeyID, UnsafeRawBufferPointer, Location) throws(StorageError) -> Void
    ) throws(StorageError) {
        let total = self.byteCount(from: position)
        var done: UInt64 = 0
        var told: UInt64 = 0
        func tell() {
            progress(RecoveryProgress(phase: phase, byteCount: done, byteCountTotal: total))
            told = done
        }
        if total > 0 { tell() }
        for range in self.ranges(from: position) {
            let path = self.directory.path(range.number)
            let file = try StorageError.wrap { () throws(FileError) in
                try self.directory.fileSystem.open(path, .read)
            }
            var scanner = SegmentScanner(
                file: file,
                seed: self.directory.seed(range.number),
                from: range.start,
                limit: range.limit
            )
            let before = done
            scan: while true {
                let event = try StorageError.wrap { () throws(FileError) in try scanner.next() }
                switch event {
                case .end:
                    break scan
                case .damage(let offset, let byteCount, _):
                    try self.note(
                        CorruptRegion(segment: range.number, offset: offset, byteCount: byteCount),
                        &report
                    )
                case .record(let header, let offset, let bytes):
                    done = before + UInt64(offset) - range.start
                    guard !header.isMarker else { break }
                    let key = RecordCodec.key(in: bytes, header)
                    let location = Location(
                        segment: range.number,
                        offset: offset,
                        byteCount: header.byteCount
                    )
                    Self.count(header.fields, &report)
                    try body(header, self.hash(key), key, location)
                }
                if done - told >= Self.progressByteCount { tell() }
            }
            done = before + range.limit - range.start
        }
        report.byteCount += total
        if total > 0 { tell() }
    }

    private static func count(_ fields: RecordFields, _ report: inout RecoveryReport) {
        report.recordCount += 1
        report.newestHLC = max(report.newestHLC, fields.version.hlc, fields.writtenAt)
    }

    /// Damage in the last segment was found before, when its end was looked for.
    private func note(
        _ region: CorruptRegion,
        _ report: inout RecoveryReport
    ) throws(StorageError) {
        let isKnown = report.corruptRegions.contains { known in
            known.segment == region.segment && known.offset <= region.offset
                && UInt64(region.offset) < UInt64(known.offset) + known.byteCount
        }
        if isKnown { return }
        report.corruptRegions.append(region)
        // At once: the index must not get beyond what it does not know.
        if self.options.refusesCorruption { throw self.directory.refusal(of: region) }
    }
}
