package import PrustCore
internal import Synchronization

/// One storage directory, opened and recovered: the index, the reader, and once the log.
package final class Storage: Sendable {
    /// Called for each record that the index does not know yet: header, key ID, key, location.
    package typealias Sink = (RecordHeader, KeyID, UnsafeRawBufferPointer, Location) -> Void
    package typealias Hash = @Sendable (UnsafeRawBufferPointer) -> KeyID

    private struct Held: Sendable {
        var lock: (any File)?
        var start: SegmentLog.Start?
    }

    package let storageID: StorageID
    package let index: Index
    package let reader: SegmentReader
    package let report: RecoveryReport
    private let directory: SegmentDirectory
    private let options: StorageOptions
    private let held: Mutex<Held>

    /// Takes the lock of a directory and recovers what is in it; a new directory is set up.
    ///
    /// - Parameters:
    ///   - directory: The data directory; `segments`, `index`, `LOCK` and `META` are in it.
    ///   - fileSystem: How files are reached.
    ///   - options: Sizes, and what a new directory is given.
    ///   - lock: The lock of the directory, if ``closeKeepingLock()`` has handed it out; whoever
    ///     passes it keeps it when this throws.
    ///   - hash: SHA-256 of a key, the key ID.
    ///   - progress: Called now and then while there is a log to read.
    ///   - sink: Gets the records that the index does not know yet, in log order; a key may come
    ///     again, and not always with a higher version.
    /// - Returns: The storage.
    /// - Throws: Why the directory cannot be used, or not now.
    package static func open(
        directory: String,
        fileSystem: any FileSystem,
        options: StorageOptions,
        lock: (any File)? = nil,
        hash: @escaping Hash,
        progress: (RecoveryProgress) -> Void = { _ in },
        sink: Sink
    ) throws(StorageError) -> Storage {
        let held: any File
        if let lock {
            held = lock
        } else {
            held = try Self.takeLock(directory, fileSystem)
        }
        var options = options
        // An offset must fit in 32 bits, and a segment must hold more than its first block.
        options.segmentByteCount = min(
            max(options.segmentByteCount, 2 * Int(SegmentHeader.byteCount)),
            StorageOptions.segmentByteCountRange.upperBound
        )
        options.extensionByteCount = max(0, options.extensionByteCount)
        let recovery = try Recovery.prepare(
            directory: directory,
            fileSystem: fileSystem,
            options: options,
            hash: hash
        )
        let result = try recovery.run(progress: progress, sink: sink)
        return Storage(recovery, result, lock: held)
    }

    private init(_ recovery: Recovery, _ result: Recovery.Result, lock: any File) {
        self.storageID = recovery.directory.storageID
        self.directory = recovery.directory
        self.options = recovery.options
        self.index = result.index
        self.report = result.report
        self.reader = SegmentReader(
            directory: recovery.directory,
            handleCountMax: recovery.options.readHandleCountMax,
            hash: recovery.hash
        )
        self.held = Mutex(Held(lock: lock, start: result.start))
    }

    /// The log, for its one owner; a second call throws `.closed`.
    package func makeLog() throws(StorageError) -> sending SegmentLog {
        guard let start = self.held.withLock({ $0.start.take() }) else { throw .closed }
        do throws(FileError) {
            return try SegmentLog(directory: self.directory, options: self.options, start: start)
        } catch {
            // Nothing has happened, so the caller may try again.
            self.held.withLock { $0.start = start }
            throw .file(error)
        }
    }

    /// Bytes that may still be written to the disk.
    package func freeByteCount() throws(StorageError) -> UInt64 {
        try StorageError.wrap { () throws(FileError) in
            try self.directory.fileSystem.freeByteCount(self.directory.path)
        }
    }

    /// Closes the index and gives the lock back; the log must be closed, or failed, before.
    package func close() {
        _ = self.closeKeepingLock()
    }

    /// Closes the index as ``close()`` does, but hands the lock out instead of giving it back.
    ///
    /// - Returns: The lock, for whoever opens the directory again; `nil` when the storage is closed
    ///   already.
    package func closeKeepingLock() -> (any File)? {
        self.index.close()
        return self.held.withLock { held -> (any File)? in
            let lock = held.lock
            held = Held()
            return lock
        }
    }

    private static func takeLock(
        _ directory: String,
        _ fileSystem: any FileSystem
    ) throws(StorageError) -> any File {
        let path = "\(directory)/LOCK"
        let (lock, isFree) = try StorageError.wrap { () throws(FileError) -> (any File, Bool) in
            try fileSystem.makeDirectory(directory)
            let lock = try fileSystem.open(path, .createOrOpen)
            return (lock, try lock.lock())
        }
        guard isFree else {
            let bytes = try? fileSystem.contents(of: path, byteCountMax: 32)
            let text = String(decoding: bytes ?? [], as: UTF8.self)
            throw .locked(
                path: path,
                holder: text.split(separator: "\n").first.flatMap { Int32($0) }
            )
        }
        // Only for the message above: a full disk must not keep the node from starting.
        do throws(FileError) {
            try lock.truncate(to: 0)
            try lock.write(all: Array("\(fileSystem.processID)\n".utf8), at: 0)
        } catch {}
        return lock
    }
}
