package import PrustCore
internal import Synchronization

/// Why a record could not be read.
package enum ReadError: Error, Hashable, Sendable {
    /// The bytes at the location are not the record that the index promised.
    case corrupt(Location, RecordError)
    case file(FileError)
}

extension ReadError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .corrupt(let location, let reason):
            "segment \(location.segment), offset \(location.offset), "
                + "\(location.byteCount) bytes: corrupt (\(reason))"
        case .file(let error): "\(error)"
        }
    }
}

/// What a reader has done since it was made.
package struct ReadCounters: Hashable, Sendable {
    package var reads: UInt64 = 0
    package var byteCount: UInt64 = 0
    package var corruptions: UInt64 = 0
    package var opens: UInt64 = 0
}

/// Reads records by their location, on any number of threads at once.
package final class SegmentReader: Sendable {
    private struct Handles {
        var files: [UInt32: (file: any File, usedAt: UInt64)] = [:]
        var clock: UInt64 = 0
    }

    private let directory: SegmentDirectory
    private let hash: @Sendable (UnsafeRawBufferPointer) -> KeyID
    private let handleCountMax: Int
    private let handles = Mutex(Handles())
    private let decompressors = DecompressorPool()
    private let totals = Mutex(ReadCounters())

    package init(
        directory: SegmentDirectory,
        handleCountMax: Int,
        hash: @escaping @Sendable (UnsafeRawBufferPointer) -> KeyID
    ) {
        self.directory = directory
        self.handleCountMax = max(1, handleCountMax)
        self.hash = hash
    }

    package var counters: ReadCounters { self.totals.withLock { $0 } }

    /// Segments that are open for reading now.
    package var handleCount: Int { self.handles.withLock { $0.files.count } }

    /// Reads and checks one record.
    ///
    /// - Parameters:
    ///   - location: Where it is, from the index or the log.
    ///   - keyID: The key it must be of.
    ///   - body: Gets the header and the value, which is valid only during the call.
    /// - Returns: What `body` returns.
    /// - Throws: ``ReadError``.
    package func read<R>(
        _ location: Location,
        keyID: KeyID,
        _ body: (RecordHeader, UnsafeRawBufferPointer) -> R
    ) throws(ReadError) -> R {
        var readCount = 0
        return try self.record(location, keyID: keyID, &readCount) {
            (header, bytes) throws(RecordError) -> R in
            let stored = RecordCodec.storedValue(in: bytes, header)
            guard header.isCompressed else { return body(header, stored) }
            let value = UnsafeMutableRawBufferPointer.allocate(
                byteCount: header.valueByteCount,
                alignment: 16
            )
            defer { value.deallocate() }
            try self.decompressors.decompress(stored, into: value)
            return body(header, UnsafeRawBufferPointer(value))
        }
    }

    /// The value of one record, in memory of its own.
    package func value(_ location: Location, keyID: KeyID) throws(ReadError) -> [UInt8] {
        try self.read(location, keyID: keyID) { _, value in Array(value) }
    }

    /// The key of one record, checked as for a read of its value, which is not unpacked.
    package func key(_ location: Location, keyID: KeyID) throws(ReadError) -> [UInt8] {
        var byteCount = 0
        return try self.key(location, keyID: keyID, byteCount: &byteCount)
    }

    /// The same, for those who read many keys and must not read too much.
    ///
    /// - Parameters:
    ///   - location: Where the record is, from the index or the log.
    ///   - keyID: The key it must be of.
    ///   - byteCount: Grows by the bytes that were read, of a corrupt record too.
    /// - Returns: The key.
    /// - Throws: ``ReadError``.
    package func key(
        _ location: Location,
        keyID: KeyID,
        byteCount: inout Int
    ) throws(ReadError) -> [UInt8] {
        try self.record(location, keyID: keyID, &byteCount) {
            (header, bytes) throws(RecordError) -> [UInt8] in
            Array(RecordCodec.key(in: bytes, header))
        }
    }

    /// Closes a segment whose file is about to go.
    package func forget(segment: UInt32) {
        _ = self.handles.withLock { $0.files.removeValue(forKey: segment) }
    }

    // MARK: - Private

    /// Reads and checks one record, and counts that.
    private func record<R>(
        _ location: Location,
        keyID: KeyID,
        _ readCount: inout Int,
        _ body: (RecordHeader, UnsafeRawBufferPointer) throws(RecordError) -> R
    ) throws(ReadError) -> R {
        do throws(ReadError) {
            let result = try self.load(location, keyID: keyID, &readCount, body)
            self.totals.withLock {
                $0.reads += 1
                $0.byteCount += UInt64(location.byteCount)
            }
            return result
        } catch {
            if case .corrupt = error { self.totals.withLock { $0.corruptions += 1 } }
            throw error
        }
    }

    private func load<R>(
        _ location: Location,
        keyID: KeyID,
        _ readCount: inout Int,
        _ body: (RecordHeader, UnsafeRawBufferPointer) throws(RecordError) -> R
    ) throws(ReadError) -> R {
        let byteCount = Int(location.byteCount)
        guard byteCount >= RecordCodec.headerByteCount, byteCount <= RecordCodec.byteCountMax else {
            throw .corrupt(location, .length)
        }
        let file = try self.file(location.segment)
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 16)
        defer { target.deallocate() }
        let count: Int
        do throws(FileError) {
            count = try file.read(into: target, at: UInt64(location.offset))
        } catch {
            throw .file(error)
        }
        readCount += count
        let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(target)[..<count])
        do throws(RecordError) {
            let header = try RecordCodec.decode(
                bytes,
                offset: location.offset,
                seed: self.directory.seed(location.segment)
            )
            guard header.byteCount == location.byteCount else { throw .length }
            let key = RecordCodec.key(in: bytes, header)
            guard !header.isMarker, self.hash(key) == keyID else { throw .wrongKey }
            return try body(header, bytes)
        } catch {
            throw .corrupt(location, error)
        }
    }

    private func file(_ segment: UInt32) throws(ReadError) -> any File {
        let known = self.handles.withLock { handles -> (any File)? in
            handles.clock += 1
            handles.files[segment]?.usedAt = handles.clock
            return handles.files[segment]?.file
        }
        if let known { return known }
        let file: any File
        do throws(FileError) {
            file = try self.directory.fileSystem.open(self.directory.path(segment), .read)
        } catch {
            throw .file(error)
        }
        self.totals.withLock { $0.opens += 1 }
        self.handles.withLock { handles in
            if handles.files.count >= self.handleCountMax {
                let oldest = handles.files.min { $0.value.usedAt < $1.value.usedAt }
                if let oldest { handles.files.removeValue(forKey: oldest.key) }
            }
            handles.files[segment] = (file, handles.clock)
        }
        return file
    }
}
