internal import Glibc
internal import PrustCore

/// Makes the end of the log durable again, and clean, before anything of it counts.
///
/// After the death of a process the last group may be in the page cache only; after a failed sync
/// it may look written and be gone with the next power failure. So a last group that nothing
/// proves durable is copied to a new segment, synced there, and then cut off where it was. Where
/// the end holds damage that nobody may cut off, the log goes on in a new segment too, and the old
/// one stays as it is.
struct TailRepair {
    let directory: SegmentDirectory
    let options: StorageOptions
    let segment: UInt32
    /// The header of the segment could be read.
    let isHeaderValid: Bool

    struct Result {
        var start: SegmentLog.Start
        var rewrittenRecordCount = 0
        /// The length of the old segment, if there is a new one.
        var cutAt: UInt64?
    }

    func run(_ file: any File, _ tail: TailScan, byteCount: UInt64) throws(StorageError) -> Result {
        if self.isHeaderValid, !tail.isDoubtful, tail.keptEnd == nil {
            return try StorageError.wrap { () throws(FileError) in
                try self.goOn(file, tail, byteCount: byteCount)
            }
        }
        let canStay = self.isHeaderValid && tail.keptEnd == nil
        if self.segment == .max, canStay {
            // There is no number for another segment, which is no reason not to open.
            return try StorageError.wrap { () throws(FileError) in try self.rewrite(file, tail) }
        }
        let group = try StorageError.wrap { () throws(FileError) in try self.group(file, tail) }
        do throws(StorageError) {
            return try self.move(group, from: file, tail)
        } catch .full(let error) {
            guard canStay else { throw .full(error) }
            return try StorageError.wrap { () throws(FileError) in try self.rewrite(file, tail) }
        }
    }

    /// Nothing is in doubt: the log goes on behind the last marker, or at the segment's start.
    private func goOn(
        _ file: any File,
        _ tail: TailScan,
        byteCount: UInt64
    ) throws(FileError) -> Result {
        var byteCount = byteCount
        if tail.torn != nil {
            try file.truncate(to: tail.end)
            byteCount = tail.end
        }
        if tail.isMarker, let offset = tail.groupOffset {
            // The process may have died before it synced the marker, and a later group may only
            // stand behind one that is durable.
            try self.writeMarker(file, self.segment, at: UInt64(offset))
        } else if tail.torn != nil {
            try file.sync()
        }
        let start = SegmentLog.Start(segment: self.segment, end: tail.end, byteCount: byteCount)
        return Result(start: start)
    }

    /// The valid records of the last group, as they must stand at the start of the next segment.
    private func group(
        _ file: any File,
        _ tail: TailScan
    ) throws(FileError) -> (bytes: [UInt8], recordCount: Int) {
        guard tail.isDoubtful else { return ([], 0) }
        let seed = self.directory.seed(self.segment)
        let newSeed = self.directory.seed(self.segment &+ 1)
        var scanner = SegmentScanner(
            file: file,
            seed: seed,
            from: tail.groupFirstRecord,
            limit: tail.end
        )
        var bytes: [UInt8] = []
        var recordCount = 0
        while true {
            switch try scanner.next() {
            case .end:
                // What could be read before and cannot now must not be left behind.
                guard recordCount >= tail.groupRecordCount else {
                    throw FileError(operation: "read", path: file.path, code: EIO)
                }
                return (bytes, recordCount)
            case .damage:
                continue
            case .record(var header, _, let record):
                let start = bytes.count
                let padded = RecordCodec.paddedByteCount(record.count)
                bytes.append(contentsOf: record)
                bytes.append(contentsOf: repeatElement(0, count: padded - record.count))
                header.groupOffset = SegmentHeader.byteCount
                let offset = SegmentHeader.byteCount + UInt32(clamping: start)
                bytes.withUnsafeMutableBytes { buffer in
                    guard let base = buffer.baseAddress else { return }
                    RecordCodec.seal(base + start, header: header, seed: newSeed, offset: offset)
                }
                recordCount += 1
            }
        }
    }

    /// Copies the last group to the next segment, and ends this one.
    ///
    /// Once the next segment is made, its header says where this one ends: what stands behind that
    /// is lost at the next start. So from then on no error may look as if the log could go on here.
    ///
    /// - Throws: `.full` when nothing was made.
    private func move(
        _ group: (bytes: [UInt8], recordCount: Int),
        from file: any File,
        _ tail: TailScan
    ) throws(StorageError) -> Result {
        let (next, overflow) = self.segment.addingReportingOverflow(1)
        guard !overflow else { throw .failed("the segment numbers have run out") }
        let cutAt =
            tail.keptEnd ?? (tail.isDoubtful ? UInt64(tail.groupOffset ?? 0) : tail.end)
        let header = SegmentHeader(
            segment: next,
            storageID: self.directory.storageID,
            previousByteCount: cutAt,
            createdAt: self.options.createdAt.milliseconds
        )
        var failure: StorageError?
        var end = UInt64(SegmentHeader.byteCount) + UInt64(group.bytes.count)
        var byteCount = end
        group.bytes.withUnsafeBytes { bytes in
            do throws(StorageError) {
                byteCount = try self.directory.create(
                    header,
                    records: bytes,
                    zeroByteCount: end,
                    spare: nil
                ).byteCount
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        do throws(FileError) {
            try file.truncate(to: cutAt)
            try file.sync()
            let path = self.directory.path(next)
            let newFile = try self.directory.fileSystem.open(path, .readWrite)
            do throws(FileError) {
                try self.writeMarker(newFile, next, at: end)
                end += UInt64(RecordCodec.headerByteCount)
                byteCount = end
            } catch {
                // The marker only spares the next start some work.
                guard error.isNoSpace else { throw error }
                try newFile.truncate(to: end)
                try newFile.sync()
            }
        } catch {
            throw .file(error)
        }
        return Result(
            start: SegmentLog.Start(segment: next, end: end, byteCount: byteCount),
            rewrittenRecordCount: group.recordCount,
            cutAt: cutAt
        )
    }

    /// Writes the group again where it is, for a full disk and for the last number of a segment.
    ///
    /// They are the same bytes, so that a torn write changes nothing. What stands behind the
    /// group's first damage is given up.
    private func rewrite(_ file: any File, _ tail: TailScan) throws(FileError) -> Result {
        let start = UInt64(tail.groupOffset ?? SegmentHeader.byteCount)
        let end = max(start, min(tail.end, UInt64(tail.torn?.offset ?? .max)))
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Int(end - start),
            alignment: 16
        )
        defer { bytes.deallocate() }
        guard try file.read(into: bytes, at: start) == bytes.count else {
            throw FileError(operation: "read", path: file.path, code: EIO)
        }
        try file.truncate(to: end)
        try file.write(UnsafeRawBufferPointer(bytes), at: start)
        try file.sync()
        return Result(start: SegmentLog.Start(segment: self.segment, end: end, byteCount: end))
    }

    private func writeMarker(
        _ file: any File,
        _ segment: UInt32,
        at offset: UInt64
    ) throws(FileError) {
        let marker = UnsafeMutableRawBufferPointer.allocate(
            byteCount: RecordCodec.headerByteCount,
            alignment: 8
        )
        defer { marker.deallocate() }
        guard let base = marker.baseAddress else { return }
        let place = UInt32(clamping: offset)
        RecordCodec.seal(
            base,
            header: .marker(at: place),
            seed: self.directory.seed(segment),
            offset: place
        )
        try file.write(UnsafeRawBufferPointer(marker), at: offset)
        try file.syncData()
    }
}
