internal import CSQLite
internal import Glibc
internal import Synchronization

/// A virtual file system for SQLite over ``IndexFiles``, registered under a name of its own.
///
/// The callbacks only translate. Locks do nothing, since the directory has its own lock and the
/// index one connection; there is no clock and no randomness.
final class IndexVFS {
    private static let count = Atomic<UInt64>(0)

    let name: String
    private let cName: UnsafeMutablePointer<CChar>
    private let vfs: UnsafeMutablePointer<sqlite3_vfs>
    private let context: UnsafeMutablePointer<Context>

    /// What the callbacks find behind `pAppData`.
    private struct Context {
        var files: IndexFiles
        var methods: UnsafePointer<sqlite3_io_methods>
    }

    /// A `sqlite3_file` and what we keep behind it.
    private struct OpenFile {
        var base: sqlite3_file
        var file: Unmanaged<IndexFile>
    }

    init(files: IndexFiles) throws(IndexError) {
        let number = Self.count.wrappingAdd(1, ordering: .relaxed).oldValue
        self.name = "prustdb-\(number)"
        guard let cName = strdup(self.name) else { throw IndexError(.failed, "out of memory") }
        self.cName = cName
        let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        methods.initialize(to: Self.makeMethods())
        self.context = .allocate(capacity: 1)
        self.context.initialize(to: Context(files: files, methods: UnsafePointer(methods)))
        self.vfs = .allocate(capacity: 1)
        self.vfs.initialize(to: Self.makeVFS(name: cName, context: self.context))
        guard sqlite3_vfs_register(self.vfs, 0) == SQLITE_OK else {
            throw IndexError(.failed, "SQLite did not accept the virtual file system")
        }
    }

    /// The connection must be closed before.
    deinit {
        sqlite3_vfs_unregister(self.vfs)
        self.vfs.deallocate()
        self.context.pointee.methods.deallocate()
        self.context.deinitialize(count: 1)
        self.context.deallocate()
        free(self.cName)
    }

    private static func makeVFS(
        name: UnsafeMutablePointer<CChar>,
        context: UnsafeMutablePointer<Context>
    ) -> sqlite3_vfs {
        var vfs = sqlite3_vfs()
        vfs.iVersion = 1
        vfs.szOsFile = Int32(MemoryLayout<OpenFile>.size)
        vfs.mxPathname = 1024
        vfs.zName = UnsafePointer(name)
        vfs.pAppData = UnsafeMutableRawPointer(context)
        vfs.xOpen = { vfs, path, file, flags, outFlags in
            IndexVFS.open(vfs, path, file, flags, outFlags)
        }
        vfs.xDelete = { vfs, path, _ in IndexVFS.delete(vfs, path) }
        vfs.xAccess = { vfs, path, flags, result in
            IndexVFS.access(vfs, path, flags, result)
        }
        vfs.xFullPathname = { _, path, count, target in
            guard let path, let target, strlen(path) < count else { return SQLITE_CANTOPEN }
            strcpy(target, path)
            return SQLITE_OK
        }
        vfs.xRandomness = { _, count, target in
            guard let target else { return 0 }
            memset(target, 0x5A, Int(count))
            return count
        }
        vfs.xSleep = { _, microseconds in microseconds }
        vfs.xCurrentTime = { _, target in
            target?.pointee = 0
            return SQLITE_OK
        }
        vfs.xGetLastError = { _, _, _ in 0 }
        return vfs
    }

    private static func makeMethods() -> sqlite3_io_methods {
        var methods = sqlite3_io_methods()
        methods.iVersion = 1
        methods.xClose = { file in
            file?.withMemoryRebound(to: OpenFile.self, capacity: 1) { $0.pointee.file.release() }
            return SQLITE_OK
        }
        methods.xRead = { file, target, count, offset in
            guard let target else { return IndexCode.readFailed }
            let buffer = UnsafeMutableRawBufferPointer(start: target, count: Int(count))
            return IndexVFS.with(file) { $0.read(into: buffer, at: UInt64(clamping: offset)) }
        }
        methods.xWrite = { file, bytes, count, offset in
            let buffer = UnsafeRawBufferPointer(start: bytes, count: Int(count))
            return IndexVFS.with(file) { $0.write(buffer, at: UInt64(clamping: offset)) }
        }
        methods.xTruncate = { file, count in
            IndexVFS.with(file) { $0.truncate(to: UInt64(clamping: count)) }
        }
        methods.xSync = { file, _ in IndexVFS.with(file) { $0.sync() } }
        methods.xFileSize = { file, target in
            guard let target else { return IndexCode.sizeFailed }
            return IndexVFS.with(file) { $0.size(target) }
        }
        methods.xLock = { _, _ in SQLITE_OK }
        methods.xUnlock = { _, _ in SQLITE_OK }
        methods.xCheckReservedLock = { _, result in
            result?.pointee = 0
            return SQLITE_OK
        }
        methods.xFileControl = { _, _, _ in SQLITE_NOTFOUND }
        methods.xSectorSize = { _ in 4096 }
        methods.xDeviceCharacteristics = { _ in SQLITE_IOCAP_POWERSAFE_OVERWRITE }
        return methods
    }

    private static func with(
        _ file: UnsafeMutablePointer<sqlite3_file>?,
        _ body: (IndexFile) -> Int32
    ) -> Int32 {
        guard let file else { return SQLITE_IOERR }
        return file.withMemoryRebound(to: OpenFile.self, capacity: 1) { open in
            open.pointee.file._withUnsafeGuaranteedRef { body($0) }
        }
    }

    private static func files(_ vfs: UnsafeMutablePointer<sqlite3_vfs>?) -> IndexFiles? {
        vfs?.pointee.pAppData?.assumingMemoryBound(to: Context.self).pointee.files
    }

    private static func open(
        _ vfs: UnsafeMutablePointer<sqlite3_vfs>?,
        _ path: UnsafePointer<CChar>?,
        _ target: UnsafeMutablePointer<sqlite3_file>?,
        _ flags: Int32,
        _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        guard let target else { return SQLITE_CANTOPEN }
        target.pointee.pMethods = nil
        // Without a path SQLite wants a temporary file; those are kept in memory.
        guard let path, let context = vfs?.pointee.pAppData?.assumingMemoryBound(to: Context.self)
        else { return SQLITE_CANTOPEN }
        let files = context.pointee.files
        do throws(FileError) {
            let file = try files.open(String(cString: path), flags)
            let open = OpenFile(
                base: sqlite3_file(pMethods: context.pointee.methods),
                file: Unmanaged.passRetained(file)
            )
            target.withMemoryRebound(to: OpenFile.self, capacity: 1) { $0.initialize(to: open) }
            outFlags?.pointee = flags
            return SQLITE_OK
        } catch {
            return files.note(error, SQLITE_CANTOPEN)
        }
    }

    private static func delete(
        _ vfs: UnsafeMutablePointer<sqlite3_vfs>?,
        _ path: UnsafePointer<CChar>?
    ) -> Int32 {
        guard let path, let files = Self.files(vfs), !files.isFrozen else {
            return IndexCode.deleteFailed
        }
        do throws(FileError) {
            try files.fileSystem.unlink(String(cString: path))
            return SQLITE_OK
        } catch {
            if error.isNotFound { return IndexCode.deleteNotFound }
            return files.note(error, IndexCode.deleteFailed)
        }
    }

    private static func access(
        _ vfs: UnsafeMutablePointer<sqlite3_vfs>?,
        _ path: UnsafePointer<CChar>?,
        _ flags: Int32,
        _ result: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        guard let path, let result, let files = Self.files(vfs) else {
            return IndexCode.accessFailed
        }
        do throws(FileError) {
            result.pointee = try files.exists(String(cString: path)) ? 1 : 0
            return SQLITE_OK
        } catch {
            return files.note(error, IndexCode.accessFailed)
        }
    }
}
