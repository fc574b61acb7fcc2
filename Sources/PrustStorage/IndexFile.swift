internal import CSQLite
internal import Glibc

/// One file of the index as SQLite sees it: checks and makes page checksums, and turns our errors
/// into SQLite's codes.
///
/// Used by one connection under its lock.
final class IndexFile {
    enum Role {
        case database
        case wal
        case other
    }

    let file: any File
    let role: Role
    private let files: IndexFiles
    private let page: UnsafeMutableRawBufferPointer
    /// Of the write-ahead log only.
    private var frames = IndexFrames()

    init(file: any File, role: Role, files: IndexFiles) {
        self.file = file
        self.role = role
        self.files = files
        self.page = .allocate(byteCount: IndexPage.byteCount, alignment: 16)
    }

    deinit {
        self.page.deallocate()
    }

    private func isPage(_ byteCount: Int, _ offset: UInt64) -> Bool {
        self.role == .database && byteCount == IndexPage.byteCount
            && offset % UInt64(IndexPage.byteCount) == 0
    }

    func read(into target: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int32 {
        // The database's own pages may be old ones after a sync of it that failed.
        if self.role == .database, self.files.isDatabaseDoubtful {
            let error = FileError(operation: "read", path: self.file.path, code: EIO)
            return self.files.note(error, IndexCode.readFailed)
        }
        do throws(FileError) {
            let count = try self.load(into: target, at: offset)
            if count < target.count {
                UnsafeMutableRawBufferPointer(rebasing: target[count...])
                    .initializeMemory(as: UInt8.self, repeating: 0)
                guard count > 0, self.isPage(target.count, offset) else {
                    return IndexCode.shortRead
                }
                return self.files.damage("a page of the index ends early", at: offset)
            }
            if self.isPage(target.count, offset),
                !IndexPage.isValid(UnsafeRawBufferPointer(target), at: offset)
            {
                return self.files.damage("a page of the index has a wrong checksum", at: offset)
            }
            if self.role == .wal, !self.frames.check(UnsafeRawBufferPointer(target), at: offset) {
                return self.files.damage("a frame of the index's log has changed", at: offset)
            }
            return SQLITE_OK
        } catch {
            // What the disk cannot read now it cannot read at the next start either.
            if error.isDiskFailure { return self.files.damage("\(error)", at: offset) }
            return self.files.note(error, IndexCode.readFailed)
        }
    }

    /// Reads, and once more if the disk fails.
    private func load(
        into target: UnsafeMutableRawBufferPointer,
        at offset: UInt64
    ) throws(FileError) -> Int {
        do throws(FileError) {
            return try self.file.read(into: target, at: offset)
        } catch {
            guard error.isDiskFailure else { throw error }
            return try self.file.read(into: target, at: offset)
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Int32 {
        guard !self.files.isFrozen else { return IndexCode.writeFailed }
        do throws(FileError) {
            if self.isPage(bytes.count, offset) {
                self.page.copyMemory(from: bytes)
                IndexPage.seal(self.page, at: offset)
                try self.file.write(UnsafeRawBufferPointer(self.page), at: offset)
            } else {
                if self.role == .wal { self.frames.willWrite(bytes.count, at: offset) }
                try self.file.write(bytes, at: offset)
                if self.role == .wal { self.frames.didWrite(bytes, at: offset) }
            }
            // A new generation of the log begins. Its header must be on the disk before any frame
            // is: old frames behind an old header would be replayed otherwise.
            return self.role == .wal && offset == 0 ? self.sync() : SQLITE_OK
        } catch {
            return self.files.note(error, IndexCode.writeFailed)
        }
    }

    func truncate(to byteCount: UInt64) -> Int32 {
        guard !self.files.isFrozen else { return IndexCode.truncateFailed }
        do throws(FileError) {
            try self.file.truncate(to: byteCount)
            if self.role == .wal { self.frames.truncate(to: byteCount) }
            return SQLITE_OK
        } catch {
            return self.files.note(error, IndexCode.truncateFailed)
        }
    }

    func sync() -> Int32 {
        guard !self.files.isFrozen else { return IndexCode.syncFailed }
        do throws(FileError) {
            try self.file.syncData()
            return SQLITE_OK
        } catch {
            self.files.noteSyncFailure(error, isDatabase: self.role == .database)
            return IndexCode.syncFailed
        }
    }

    func size(_ target: UnsafeMutablePointer<sqlite3_int64>) -> Int32 {
        do throws(FileError) {
            target.pointee = sqlite3_int64(clamping: try self.file.size())
            return SQLITE_OK
        } catch {
            return self.files.note(error, IndexCode.sizeFailed)
        }
    }
}
