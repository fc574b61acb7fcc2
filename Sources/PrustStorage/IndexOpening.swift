internal import PrustCore

/// Opens the index and brings it and the log together; makes it anew when it cannot be trusted.
struct IndexOpening {
    private static let batchCount = 100_000

    let path: String
    let fileSystem: any FileSystem
    let storageID: StorageID
    let options: StorageOptions

    /// What there is of an index before the log has been looked at.
    enum Existing {
        case usable(Index)
        /// Why it must be made anew.
        case unusable(String)
    }

    /// Opens the index that is there.
    ///
    /// - Throws: Why it cannot be reached now although it may be whole; it is left as it is, since
    ///   making it anew means reading all segments.
    func openExisting() throws(StorageError) -> Existing {
        if self.options.rebuildIndex { return .unusable("it was asked for") }
        let files = IndexFiles(fileSystem: self.fileSystem, directory: self.path)
        let isThere = try StorageError.wrap { () throws(FileError) in
            try files.exists(files.databasePath)
        }
        guard isThere else { return .unusable("it was missing") }
        do throws(IndexError) {
            let index = try Index.open(
                files: files,
                storageID: self.storageID,
                cacheByteCount: self.options.indexCacheByteCount
            )
            return .usable(index)
        } catch {
            guard error.kind == .damaged else { throw .index(error) }
            return .unusable(error.message)
        }
    }

    /// Brings the index to the end of the log, or makes it anew.
    ///
    /// - Parameters:
    ///   - existing: What ``openExisting()`` found.
    ///   - replay: The log.
    ///   - isLogEmpty: Nothing is in the log, so that an index that is not there is no loss.
    ///   - report: Counts and damage go here.
    ///   - progress: Called now and then.
    ///   - sink: Gets the records that the index does not know yet, if they are not many.
    /// - Returns: The index.
    /// - Throws: What reading the log or writing the index throws.
    func run(
        _ existing: Existing,
        _ replay: Replay,
        isLogEmpty: Bool,
        _ report: inout RecoveryReport,
        progress: (RecoveryProgress) -> Void,
        sink: Storage.Sink
    ) throws(StorageError) -> Index {
        let reason: String
        switch existing {
        case .unusable(let why):
            reason = why
        case .usable(let index):
            let before = report
            do throws(StorageError) {
                try self.catchUp(index, replay, &report, progress: progress, sink: sink)
                return index
            } catch .index(let error) {
                guard error.kind == .damaged else { throw .index(error) }
                reason = error.message
                report = before
            }
        }
        if !isLogEmpty { report.indexRebuilt = reason }
        return try self.rebuild(replay, &report, progress: progress)
    }

    /// A short tail goes to the sink; a long one straight into the index.
    private func catchUp(
        _ index: Index,
        _ replay: Replay,
        _ report: inout RecoveryReport,
        progress: (RecoveryProgress) -> Void,
        sink: Storage.Sink
    ) throws(StorageError) {
        let position = index.position
        guard replay.byteCount(from: position) <= self.options.replayByteCountMax else {
            try self.feed(index, replay, .replaying, &report, progress: progress)
            return
        }
        try replay.run(from: position, phase: .replaying, &report, progress: progress, body: sink)
    }

    private func rebuild(
        _ replay: Replay,
        _ report: inout RecoveryReport,
        progress: (RecoveryProgress) -> Void
    ) throws(StorageError) -> Index {
        let files = IndexFiles(fileSystem: self.fileSystem, directory: self.path)
        try StorageError.wrap { () throws(FileError) in try files.remove() }
        let index: Index
        do throws(IndexError) {
            index = try Index.create(
                files: files,
                storageID: self.storageID,
                cacheByteCount: self.options.indexCacheByteCount
            )
        } catch {
            throw .index(error)
        }
        try self.feed(index, replay, .rebuildingIndex, &report, progress: progress)
        return index
    }

    /// Applies all that the log has behind the index's position, in sorted batches.
    private func feed(
        _ index: Index,
        _ replay: Replay,
        _ phase: RecoveryProgress.Phase,
        _ report: inout RecoveryReport,
        progress: (RecoveryProgress) -> Void
    ) throws(StorageError) {
        var batch: [IndexEntry] = []
        var latest = RecoveryProgress(phase: phase, byteCount: 0, byteCountTotal: 0)
        try replay.run(
            from: index.position,
            phase: phase,
            &report,
            progress: { current in
                latest = current
                progress(current)
            },
            body: { (header, keyID, _, location) throws(StorageError) in
                batch.append(
                    IndexEntry(
                        keyID: keyID,
                        location: location,
                        version: header.fields.version,
                        expiresAt: header.fields.expiresAt,
                        isTombstone: header.fields.isTombstone
                    )
                )
                guard batch.count >= Self.batchCount else { return }
                try Self.apply(batch, to: index, replay.end, isFinal: false) { progress(latest) }
                batch.removeAll(keepingCapacity: true)
            }
        )
        guard replay.end > index.position else { return }
        try Self.apply(batch, to: index, replay.end, isFinal: true) { progress(latest) }
        do throws(IndexError) {
            try index.checkpoint { progress(latest) }
        } catch {
            throw .index(error)
        }
    }

    private static func apply(
        _ batch: [IndexEntry],
        to index: Index,
        _ position: LogPosition,
        isFinal: Bool,
        progress: () -> Void
    ) throws(StorageError) {
        do throws(IndexError) {
            try index.apply(
                Self.newest(batch),
                position: position,
                isFinal: isFinal,
                progress: progress
            )
        } catch {
            throw .index(error)
        }
    }

    /// The newest entry of each key, in the order of the key IDs; of equal versions the later one,
    /// since a copy that recovery made is where the record is now.
    private static func newest(_ entries: [IndexEntry]) -> [IndexEntry] {
        let sorted = entries.sorted { left, right in
            if left.keyID != right.keyID { return left.keyID < right.keyID }
            if left.version != right.version { return left.version < right.version }
            return left.location.position < right.location.position
        }
        var result: [IndexEntry] = []
        result.reserveCapacity(sorted.count)
        for entry in sorted {
            if result.last?.keyID == entry.keyID { result.removeLast() }
            result.append(entry)
        }
        return result
    }
}
