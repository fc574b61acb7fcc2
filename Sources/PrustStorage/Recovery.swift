internal import PrustCore

/// Opens a directory: identity, segments, the end of the log, the index, and what it lacks.
struct Recovery {
    struct Result {
        var index: Index
        var start: SegmentLog.Start
        var report: RecoveryReport
    }

    /// A segment file, and how much of it counts.
    struct Segment {
        var number: UInt32
        /// `nil` when the first block is damaged.
        var header: SegmentHeader?
        /// Length of the file.
        var byteCount: UInt64
        /// Where its records end.
        var limit: UInt64
    }

    /// The last segment, and what stands at its end.
    private struct Tail {
        var file: any File
        var scan: TailScan
    }

    let path: String
    let directory: SegmentDirectory
    let options: StorageOptions
    let hash: Storage.Hash
    private let isNew: Bool

    // MARK: - Identity

    static func prepare(
        directory: String,
        fileSystem: any FileSystem,
        options: StorageOptions,
        hash: @escaping Storage.Hash
    ) throws(StorageError) -> Recovery {
        let segments = "\(directory)/segments"
        var isNew = false
        var meta: StorageMeta
        let metaPath = "\(directory)/META"
        let found = try StorageError.wrap { () throws(FileError) -> [UInt8]? in
            do throws(FileError) {
                return try fileSystem.contents(of: metaPath, byteCountMax: StorageMeta.byteCountMax)
            } catch {
                guard error.isNotFound else { throw error }
                return nil
            }
        }
        if let found {
            meta = try StorageMeta(decoding: found, path: metaPath)
        } else {
            isNew = true
            meta = StorageMeta(
                storageID: options.newStorageID,
                createdAt: options.createdAt.milliseconds
            )
            try Self.setUp(directory, segments, fileSystem, metaPath, meta)
        }
        return Recovery(
            path: directory,
            directory: SegmentDirectory(
                path: segments,
                fileSystem: fileSystem,
                storageID: meta.storageID
            ),
            options: options,
            hash: hash,
            isNew: isNew
        )
    }

    private static func setUp(
        _ directory: String,
        _ segments: String,
        _ fileSystem: any FileSystem,
        _ metaPath: String,
        _ meta: StorageMeta
    ) throws(StorageError) {
        let names = try StorageError.wrap { () throws(FileError) -> [String] in
            try fileSystem.makeDirectory(segments)
            try fileSystem.makeDirectory("\(directory)/index")
            return try fileSystem.list(segments)
        }
        guard names.allSatisfy({ SegmentDirectory.number($0) == nil }) else {
            throw .damaged(path: metaPath, reason: "it is missing, but there are segments")
        }
        try StorageError.wrap { () throws(FileError) in
            // The parent first: once META is there, nobody looks at the parent again.
            try fileSystem.syncDirectory(Self.parent(of: directory))
            try fileSystem.replace(metaPath, in: directory, with: meta.encoded())
        }
    }

    /// The directory that holds a directory, which must be synced once that is new.
    private static func parent(of path: String) -> String {
        let trimmed = path.last == "/" ? path.dropLast() : path[...]
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    // MARK: - Steps

    func run(
        progress: (RecoveryProgress) -> Void,
        sink: Storage.Sink
    ) throws(StorageError) -> Result {
        var report = RecoveryReport()
        report.isNew = self.isNew
        progress(RecoveryProgress(phase: .checking, byteCount: 0, byteCountTotal: 0))
        var segments = try self.findSegments(&report)
        var tail = try self.scanTail(segments)
        // The log stays as it is until it is known that nothing is missing.
        let opening = IndexOpening(
            path: "\(self.path)/index",
            fileSystem: self.directory.fileSystem,
            storageID: self.directory.storageID,
            options: self.options
        )
        var existing = try opening.openExisting()
        if case .usable(let index) = existing,
            let misfit = try self.misfit(index.position, segments, &tail)
        {
            existing = .unusable(misfit)
        }
        report.corruptRegions += tail?.scan.corruptRegions ?? []
        report.tornTail = tail?.scan.torn
        if self.options.refusesCorruption, let region = report.corruptRegions.first {
            throw self.directory.refusal(of: region)
        }
        let start = try self.settleTail(&segments, tail, &report)
        report.segmentCount = segments.count
        let replay = Replay(
            directory: self.directory,
            options: self.options,
            hash: self.hash,
            segments: segments,
            end: LogPosition(segment: start.segment, offset: UInt32(clamping: start.end))
        )
        let index = try opening.run(
            existing,
            replay,
            isLogEmpty: segments.count == 1 && start.end == UInt64(SegmentHeader.byteCount),
            &report,
            progress: progress,
            sink: sink
        )
        report.newestHLC = max(report.newestHLC, index.newestHLC)
        return Result(index: index, start: start, report: report)
    }

    private func findSegments(_ report: inout RecoveryReport) throws(StorageError) -> [Segment] {
        let fileSystem = self.directory.fileSystem
        var numbers: [UInt32] = []
        let names = try StorageError.wrap { () throws(FileError) -> [String] in
            // Both calls do nothing in the second and later starts.
            try fileSystem.makeDirectory(self.directory.path)
            try fileSystem.makeDirectory("\(self.path)/index")
            // An earlier start may have died between a rename and its sync. What is built upon
            // from now on must not be seen only because it is in memory.
            try fileSystem.syncDirectory(self.path)
            try fileSystem.syncDirectory(self.directory.path)
            return try fileSystem.list(self.directory.path)
        }
        for name in names {
            if let number = SegmentDirectory.number(name) {
                numbers.append(number)
            } else if name.hasSuffix(".tmp") {
                try StorageError.wrap { () throws(FileError) in
                    try fileSystem.unlink("\(self.directory.path)/\(name)")
                }
            }
        }
        numbers.sort()
        var segments: [Segment] = []
        var expected: UInt32 = 1
        for number in numbers {
            // A hostile name must not make a list of four billion missing ones.
            if number > expected {
                report.missingSegments += Array((expected..<number).prefix(1000))
            }
            expected = number == .max ? number : number + 1
            segments.append(try self.readHeader(number, &report))
        }
        guard report.missingSegments.isEmpty || self.options.allowMissingSegments else {
            throw .missingSegments(report.missingSegments)
        }
        self.setLimits(&segments, &report)
        return segments
    }

    private func readHeader(
        _ number: UInt32,
        _ report: inout RecoveryReport
    ) throws(StorageError) -> Segment {
        let path = self.directory.path(number)
        let (bytes, byteCount) = try StorageError.wrap {
            () throws(FileError) -> ([UInt8], UInt64) in
            let file = try self.directory.fileSystem.open(path, .read)
            return (try Self.firstBlock(of: file), try file.size())
        }
        var segment = Segment(number: number, header: nil, byteCount: byteCount, limit: byteCount)
        var problem: SegmentHeader.DecodeError?
        bytes.withUnsafeBytes { buffer in
            do throws(SegmentHeader.DecodeError) {
                segment.header = try SegmentHeader(decoding: buffer)
            } catch {
                problem = error
            }
        }
        if case .newerFormat(let version) = problem {
            throw .newerFormat(
                path: path,
                found: version,
                supported: SegmentHeader.formatVersion
            )
        }
        if let header = segment.header, header.segment == number {
            guard header.storageID == self.directory.storageID else {
                throw .foreignSegment(path: path)
            }
        } else {
            segment.header = nil
            report.corruptRegions.append(
                CorruptRegion(
                    segment: number,
                    offset: 0,
                    byteCount: UInt64(SegmentHeader.byteCount)
                )
            )
        }
        return segment
    }

    /// The first block of a segment; empty if the disk cannot read it, also not the second time.
    private static func firstBlock(of file: any File) throws(FileError) -> [UInt8] {
        let byteCount = Int(SegmentHeader.byteCount)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 8)
        defer { buffer.deallocate() }
        for _ in 0..<2 {
            do throws(FileError) {
                let readCount = try file.read(into: buffer, at: 0)
                return Array(buffer.prefix(readCount))
            } catch {
                guard error.isDiskFailure else { throw error }
            }
        }
        return []
    }

    /// A segment ends where the header of the next one says, and no later than its file.
    private func setLimits(_ segments: inout [Segment], _ report: inout RecoveryReport) {
        for index in segments.indices.dropLast() {
            let next = segments[index + 1]
            guard next.number == segments[index].number + 1, let header = next.header else {
                continue
            }
            let byteCount = segments[index].byteCount
            // No segment ends within its header, whatever the next one says.
            let end = max(header.previousByteCount, UInt64(SegmentHeader.byteCount))
            segments[index].limit = min(byteCount, end)
            if byteCount < header.previousByteCount {
                report.corruptRegions.append(
                    CorruptRegion(
                        segment: segments[index].number,
                        offset: UInt32(clamping: byteCount),
                        byteCount: header.previousByteCount - byteCount
                    )
                )
            }
        }
    }

    /// Looks for the end of the log; `nil` in an empty directory.
    private func scanTail(_ segments: [Segment]) throws(StorageError) -> Tail? {
        guard let last = segments.last else {
            try self.checkNeverUsed()
            return nil
        }
        return try StorageError.wrap { () throws(FileError) -> Tail in
            let path = self.directory.path(last.number)
            let file = try self.directory.fileSystem.open(path, .readWrite)
            let scan = try TailScan(
                file: file,
                segment: last.number,
                seed: self.directory.seed(last.number),
                byteCount: last.byteCount
            )
            return Tail(file: file, scan: scan)
        }
    }

    /// Sees that the log reaches as far as the index says that it was durable.
    ///
    /// Every position in an index was taken from a log after its sync, or from a recovery that had
    /// made the end of the log durable. So no crash explains a log that ends before it.
    ///
    /// - Returns: Why the index must be made anew, `nil` if it fits the log.
    /// - Throws: `.damaged` unless the loss was accepted: to go on would give the numbers of the
    ///   missing segments, and places in them, to other records.
    private func misfit(
        _ position: LogPosition,
        _ segments: [Segment],
        _ tail: inout Tail?
    ) throws(StorageError) -> String? {
        guard let last = segments.last?.number, let end = tail?.scan.end else {
            return "there were no segments"
        }
        let loss: String
        if position.segment > last {
            loss = "segments are missing behind number \(last)"
        } else if position.segment == last,
            tail?.scan.prove(through: UInt64(position.offset)) == false
        {
            loss = "the records of segment \(last) end at offset \(end)"
        } else {
            return nil
        }
        guard self.options.allowMissingSegments else {
            throw .damaged(
                path: self.directory.path,
                reason: "\(loss), but the index knows of durable records up to segment "
                    + "\(position.segment), offset \(position.offset); restore the segments, or "
                    + "set storage.on-missing-segments to serve to go on without those records"
            )
        }
        return "its position is beyond the end of the log"
    }

    /// Makes the end of the log durable; an empty directory gets its first segment.
    private func settleTail(
        _ segments: inout [Segment],
        _ tail: Tail?,
        _ report: inout RecoveryReport
    ) throws(StorageError) -> SegmentLog.Start {
        guard let last = segments.last, let tail else { return try self.makeFirst(&segments) }
        try self.cutLeftover(segments)
        let repair = TailRepair(
            directory: self.directory,
            options: self.options,
            segment: last.number,
            isHeaderValid: last.header != nil
        )
        let result = try repair.run(tail.file, tail.scan, byteCount: last.byteCount)
        report.rewrittenRecordCount = result.rewrittenRecordCount
        if let cutAt = result.cutAt {
            segments[segments.count - 1].limit = cutAt
            segments.append(
                Segment(
                    number: result.start.segment,
                    header: nil,
                    byteCount: result.start.byteCount,
                    limit: result.start.end
                )
            )
        } else {
            segments[segments.count - 1].limit = result.start.end
        }
        return result.start
    }

    /// A crash between making a segment and cutting the one before it leaves a tail that does not
    /// count there.
    private func cutLeftover(_ segments: [Segment]) throws(StorageError) {
        guard let before = segments.dropLast().last, before.limit < before.byteCount else { return }
        do throws(FileError) {
            let path = self.directory.path(before.number)
            let file = try self.directory.fileSystem.open(path, .readWrite)
            try file.truncate(to: before.limit)
            try file.sync()
        } catch {
            // Cut or not, it does not count: a full disk must not keep the node from starting.
            guard error.isNoSpace else { throw .file(error) }
        }
    }

    /// The index is made after the first segment: with an index and no segment all data is gone.
    private func checkNeverUsed() throws(StorageError) {
        let files = IndexFiles(
            fileSystem: self.directory.fileSystem,
            directory: "\(self.path)/index"
        )
        let isUsed = try StorageError.wrap { () throws(FileError) in
            try files.exists(files.databasePath)
        }
        guard !isUsed || self.options.allowMissingSegments else { throw .missingSegments([1]) }
    }

    private func makeFirst(
        _ segments: inout [Segment]
    ) throws(StorageError) -> SegmentLog.Start {
        let header = SegmentHeader(
            segment: 1,
            storageID: self.directory.storageID,
            previousByteCount: 0,
            createdAt: self.options.createdAt.milliseconds
        )
        let end = UInt64(SegmentHeader.byteCount)
        let made = try self.directory.create(
            header,
            records: UnsafeRawBufferPointer(start: nil, count: 0),
            zeroByteCount: end,
            spare: nil
        )
        segments.append(Segment(number: 1, header: header, byteCount: made.byteCount, limit: end))
        return SegmentLog.Start(segment: 1, end: end, byteCount: made.byteCount)
    }
}
