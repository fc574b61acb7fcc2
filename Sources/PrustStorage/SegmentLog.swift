internal import PrustCore

/// What a log has done since it was opened.
package struct LogCounters: Hashable, Sendable {
    package var appends: UInt64 = 0
    /// Bytes of keys and values as users gave them.
    package var rawByteCount: UInt64 = 0
    /// Bytes of records as they stand in the segments, padding included.
    package var storedByteCount: UInt64 = 0
    package var groups: UInt64 = 0
    package var syncs: UInt64 = 0
    package var rolls: UInt64 = 0
    /// How often zeros had to be written ahead while a group waited.
    package var extensions: UInt64 = 0

    package init() {}
}

/// Appends records to the active segment, and makes groups of them durable.
///
/// It has one owner, the log writer's thread, and no lock. Once a write or a sync has failed, what
/// the page cache says of this file proves nothing any more; so the log stops for good, and
/// opening the storage again sorts out what is on the disk.
package final class SegmentLog {
    private enum State {
        case open
        case failed(String)
        case closed
    }

    /// Where a log goes on; made by recovery.
    struct Start: Sendable {
        var segment: UInt32
        var end: UInt64
        /// Length of the file; zeros stand between `end` and here.
        var byteCount: UInt64
    }

    private let directory: SegmentDirectory
    private let options: StorageOptions
    private let compressor: Compressor?
    private let buffer = GroupBuffer()
    private var file: any File
    private var segment: UInt32
    private var seed: RecordSeed
    private var end: UInt64
    private var byteCount: UInt64
    private var state = State.open
    /// A file of zeros that a thread with time to spare makes into the next segment.
    package let spare: SegmentSpare
    package private(set) var groupRecordCount = 0
    package private(set) var counters = LogCounters()

    init(
        directory: SegmentDirectory,
        options: StorageOptions,
        start: Start
    ) throws(FileError) {
        self.directory = directory
        self.options = options
        self.compressor = options.compressionLevel.map { Compressor(level: $0) }
        self.file = try directory.fileSystem.open(directory.path(start.segment), .readWrite)
        self.segment = start.segment
        self.seed = directory.seed(start.segment)
        self.end = start.end
        self.byteCount = max(start.byteCount, start.end)
        self.spare = SegmentSpare(
            directory: directory,
            byteCount: UInt64(clamping: options.segmentByteCount)
        )
    }

    package var groupByteCount: Int { self.buffer.count }

    /// Everything before this is durable.
    package var durablePosition: LogPosition {
        LogPosition(segment: self.segment, offset: UInt32(clamping: self.end))
    }

    package var isFailed: Bool {
        if case .failed = self.state { true } else { false }
    }

    /// Adds a record to the open group; it is durable when ``commit()`` has returned.
    ///
    /// - Parameters:
    ///   - fields: Version, expiry and so on.
    ///   - key: The key, copied.
    ///   - value: The value, copied; empty for a tombstone.
    /// - Returns: Where the record will be; `nil` when the open group must be committed first,
    ///   since it and the record do not fit in one segment, or in one group.
    /// - Throws: `.full` when a new segment does not fit, `.failed` when the log has stopped.
    package func append(
        _ fields: RecordFields,
        key: UnsafeRawBufferPointer,
        value: UnsafeRawBufferPointer
    ) throws(StorageError) -> Location? {
        try self.checkOpen()
        try Self.check(key.count, max: Limits.keyByteCountMax)
        try Self.check(value.count, max: fields.isTombstone ? 0 : Limits.valueByteCountMax)
        let room = RecordCodec.paddedByteCount(
            RecordCodec.headerByteCount + key.count + value.count
        )
        let groupByteCount = self.buffer.count + room
        let isOver = self.end + UInt64(groupByteCount) > UInt64(self.options.segmentByteCount)
        if self.groupRecordCount > 0 {
            guard !isOver, groupByteCount <= self.options.groupByteCountMax else { return nil }
        } else if isOver, self.end > UInt64(SegmentHeader.byteCount) {
            try self.roll(createdAt: HybridClock.wallTime(of: fields.writtenAt))
        }
        let offset = UInt32(clamping: self.end + UInt64(self.buffer.count))
        let header = self.encode(fields, key: key, value: value, room: room, at: offset)
        self.counters.appends += 1
        self.counters.rawByteCount += UInt64(key.count + value.count)
        return Location(segment: self.segment, offset: offset, byteCount: header.byteCount)
    }

    /// Writes the open group with one call and makes it durable with another.
    ///
    /// After `.full` nothing of the group is in the log, the group is empty, and the log goes on
    /// when there is room again. After any other error the log has stopped.
    package func commit() throws(StorageError) {
        try self.checkOpen()
        guard self.groupRecordCount > 0 else { return }
        try self.write(extensionByteCount: UInt64(clamping: self.options.extensionByteCount))
        if self.end > UInt64(self.options.segmentByteCount / 2) { self.spare.want() }
    }

    /// Writes zeros ahead, if they are running out; called when nobody waits.
    package func prepare() throws(StorageError) {
        try self.checkOpen()
        let step = UInt64(clamping: self.options.extensionByteCount)
        guard step > 0, self.byteCount - self.end < step / 2 else { return }
        let target = min(self.end + step, UInt64(self.options.segmentByteCount))
        guard target > self.byteCount else { return }
        do throws(FileError) {
            self.byteCount = try SegmentDirectory.extendIfThereIsRoom(
                self.file,
                byteCount: self.byteCount,
                from: self.byteCount,
                to: target
            )
            self.counters.syncs += 1
            try self.file.syncData()
        } catch {
            throw self.fail(error)
        }
    }

    /// Ends the log so that the next start has nothing to repair.
    package func close() throws(StorageError) {
        switch self.state {
        case .closed: return
        case .failed: self.state = .closed
        case .open:
            precondition(self.groupRecordCount == 0, "a log is closed with a group open")
            defer { self.state = .closed }
            self.spare.discard()
            self.appendMarker()
            try self.write(extensionByteCount: 0)
            do throws(FileError) {
                try self.cut(self.file)
            } catch {
                throw self.fail(error)
            }
        }
    }

    // MARK: - Private

    private static func check(_ byteCount: Int, max: Int) throws(StorageError) {
        guard byteCount <= max else {
            throw .recordTooLarge(byteCount: byteCount, byteCountMax: max)
        }
    }

    private func checkOpen() throws(StorageError) {
        switch self.state {
        case .open: return
        case .failed(let reason): throw .failed(reason)
        case .closed: throw .closed
        }
    }

    private func fail(_ error: FileError) -> StorageError {
        self.state = .failed("\(error)")
        self.discardGroup()
        return .failed("\(error)")
    }

    private func discardGroup() {
        self.buffer.removeAll()
        self.groupRecordCount = 0
    }

    private func encode(
        _ fields: RecordFields,
        key: UnsafeRawBufferPointer,
        value: UnsafeRawBufferPointer,
        room: Int,
        at offset: UInt32
    ) -> RecordHeader {
        let target = self.buffer.room(room)
        let valueStart = RecordCodec.headerByteCount + key.count
        let keyTarget = target[RecordCodec.headerByteCount..<valueStart]
        UnsafeMutableRawBufferPointer(rebasing: keyTarget).copyMemory(from: key)
        let valueTarget = UnsafeMutableRawBufferPointer(rebasing: target[valueStart...])
        var compressedByteCount: Int?
        if let compressor = self.compressor, value.count >= self.options.compressionByteCountMin {
            compressedByteCount = compressor.compress(value, into: valueTarget)
        }
        if compressedByteCount == nil { valueTarget.copyMemory(from: value) }
        let storedByteCount = compressedByteCount ?? value.count
        let header = RecordHeader(
            fields: fields,
            byteCount: UInt32(valueStart + storedByteCount),
            keyByteCount: key.count,
            storedByteCount: storedByteCount,
            valueByteCount: value.count,
            isCompressed: compressedByteCount != nil,
            isMarker: false,
            groupOffset: UInt32(clamping: self.end)
        )
        self.add(header, at: offset, into: target)
        return header
    }

    private func add(
        _ header: RecordHeader,
        at offset: UInt32,
        into target: UnsafeMutableRawBufferPointer
    ) {
        guard let base = target.baseAddress else { return }
        RecordCodec.seal(base, header: header, seed: self.seed, offset: offset)
        self.buffer.take(RecordCodec.paddedByteCount(Int(header.byteCount)))
        self.groupRecordCount += 1
    }

    private func appendMarker() {
        let offset = UInt32(clamping: self.end)
        let target = self.buffer.room(RecordCodec.headerByteCount)
        self.add(.marker(at: offset), at: offset, into: target)
    }

    private func write(extensionByteCount: UInt64) throws(StorageError) {
        let bytes = self.buffer.bytes
        let newEnd = self.end + UInt64(bytes.count)
        do throws(FileError) {
            try self.put(bytes, through: newEnd, extensionByteCount: extensionByteCount)
        } catch {
            guard error.isNoSpace else { throw self.fail(error) }
            try self.dropGroup()
            throw .full(error)
        }
        do throws(FileError) {
            self.counters.syncs += 1
            try self.file.syncData()
        } catch {
            throw self.fail(error)
        }
        self.counters.groups += 1
        self.counters.storedByteCount += UInt64(bytes.count)
        self.end = newEnd
        self.discardGroup()
    }

    /// Writes the bytes of a group; on a full disk once more, without what can be done without.
    private func put(
        _ bytes: UnsafeRawBufferPointer,
        through newEnd: UInt64,
        extensionByteCount: UInt64
    ) throws(FileError) {
        do throws(FileError) {
            let zeroed = try self.extend(beyond: newEnd, by: extensionByteCount)
            try self.file.write(bytes, at: self.end)
            self.byteCount = max(zeroed, newEnd)
        } catch {
            guard error.isNoSpace, self.spare.giveUp() else { throw error }
            try self.file.truncate(to: self.end)
            self.byteCount = self.end
            try self.file.write(bytes, at: self.end)
            self.byteCount = newEnd
        }
    }

    /// Takes a group back that the disk has no room for: the log is as it was before.
    private func dropGroup() throws(StorageError) {
        do throws(FileError) {
            try self.cut(self.file)
            self.byteCount = self.end
            self.discardGroup()
        } catch {
            throw self.fail(error)
        }
    }

    /// Writes zeros behind a group that goes beyond those that are there.
    ///
    /// - Parameters:
    ///   - newEnd: Where the group ends.
    ///   - step: How far ahead.
    /// - Returns: The length of the file then; one sync serves both.
    /// - Throws: The error of the write.
    private func extend(beyond newEnd: UInt64, by step: UInt64) throws(FileError) -> UInt64 {
        guard newEnd > self.byteCount, step > 0 else { return self.byteCount }
        let target = min(newEnd + step, UInt64(self.options.segmentByteCount))
        guard target > newEnd else { return self.byteCount }
        self.counters.extensions += 1
        return try SegmentDirectory.extendIfThereIsRoom(
            self.file,
            byteCount: self.byteCount,
            from: newEnd,
            to: target
        )
    }

    /// Cuts a segment to its records, durably.
    private func cut(_ file: any File) throws(FileError) {
        try file.truncate(to: self.end)
        self.counters.syncs += 1
        try file.sync()
    }

    private func roll(createdAt: WallTime) throws(StorageError) {
        let (next, overflow) = self.segment.addingReportingOverflow(1)
        guard !overflow else { throw .failed("the segment numbers have run out") }
        let header = SegmentHeader(
            segment: next,
            storageID: self.directory.storageID,
            previousByteCount: self.end,
            createdAt: createdAt.milliseconds
        )
        let made: (file: any File, byteCount: UInt64)
        do throws(StorageError) {
            made = try self.directory.create(
                header,
                records: UnsafeRawBufferPointer(start: nil, count: 0),
                zeroByteCount: self.firstByteCount,
                spare: self.spare.take()
            )
        } catch {
            guard case .file(let failure) = error else {
                // One that is in the making stands in the way of the next try.
                _ = self.spare.giveUp()
                throw error
            }
            throw self.fail(failure)
        }
        do throws(FileError) {
            try self.cut(self.file)
        } catch {
            throw self.fail(error)
        }
        self.counters.rolls += 1
        self.counters.syncs += 1
        self.file = made.file
        self.segment = next
        self.seed = self.directory.seed(next)
        self.end = UInt64(SegmentHeader.byteCount)
        self.byteCount = made.byteCount
    }

    /// The length that a new segment starts with.
    private var firstByteCount: UInt64 {
        UInt64(
            min(
                self.options.segmentByteCount,
                Int(SegmentHeader.byteCount) + self.options.extensionByteCount
            )
        )
    }
}

extension RecordHeader {
    /// A record that holds nothing, in a group of its own.
    static func marker(at offset: UInt32) -> Self {
        Self(
            fields: RecordFields(version: .zero, writtenAt: 0),
            byteCount: UInt32(RecordCodec.headerByteCount),
            keyByteCount: 0,
            storedByteCount: 0,
            valueByteCount: 0,
            isCompressed: false,
            isMarker: true,
            groupOffset: offset
        )
    }
}
