internal import PrustCore

/// Opens the index and brings it and the log together; makes it anew when it cannot be trusted.
struct IndexOpening {
    private static let batchCount = 100_000

    let path: String
    let fileSystem: any FileSystem
    let storageID: StorageID
    let options: StorageOptions
    /// Nothing is in the log, so that an index that is not there is no loss.
    let isLogEmpty: Bool

    private enum Existing {
        case usable(Index)
        case unusable(String)
    }

    func run(
        _ replay: Replay,
        _ report: inout RecoveryReport,
        progress: (RecoveryProgress) -> Void,
        sink: Storage.Sink
    ) throws(StorageError) -> Index {
        let before = report
        let reason: String
        do throws(StorageError) {
            switch try self.openExisting(replay) {
            case .usable(let index):
                try self.catchUp(index, replay, &report, progress: progress, sink: sink)
                return index
            case .unusable(let why):
                reason = why
            }
        } catch .index(let error) {
            // Without room to open it there is none to make it anew.
            guard error.kind != .full else { throw .index(error) }
            reason = error.message
            report = before
        }
        if !self.isLogEmpty { report.indexRebuilt = reason }
        return try self.rebuild(replay, &report, progress: progress)
    }

    private func openExisting(_ replay: Replay) throws(StorageError) -> Existing {
        if self.options.rebuildIndex { return .unusable("it was asked for") }
        let files = IndexFiles(fileSystem: self.fileSystem, directory: self.path)
        do throws(FileError) {
            guard try files.exists(files.databasePath) else { return .unusable("it was missing") }
        } catch {
            return .unusable("\(error)")
        }
        let index: Index
        do throws(IndexError) {
            index = try Index.open(
                files: files,
                storageID: self.storageID,
                cacheByteCount: self.options.indexCacheByteCount
            )
        } catch {
            throw .index(error)
        }
        guard index.position <= replay.end else {
            return .unusable("its position is beyond the end of the log")
        }
        return .usable(index)
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
        func flush(isFinal: Bool) throws(StorageError) {
            do throws(IndexError) {
                try index.apply(Self.newest(batch), position: replay.end, isFinal: isFinal)
                batch.removeAll(keepingCapacity: true)
            } catch {
                throw .index(error)
            }
        }
        try replay.run(from: index.position, phase: phase, &report, progress: progress) {
            (header, keyID, _, location) throws(StorageError) in
            batch.append(
                IndexEntry(
                    keyID: keyID,
                    location: location,
                    version: header.fields.version,
                    expiresAt: header.fields.expiresAt,
                    isTombstone: header.fields.isTombstone
                )
            )
            if batch.count >= Self.batchCount { try flush(isFinal: false) }
        }
        guard replay.end > index.position else { return }
        try flush(isFinal: true)
        do throws(IndexError) {
            try index.checkpoint()
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
