/// How a file is opened.
package enum OpenMode: Sendable {
    /// An existing file, for reading.
    case read
    /// An existing file, for reading and writing.
    case readWrite
    /// A new file; it must not exist yet.
    case create
    /// An existing file or a new one.
    case createOrOpen
    /// A new file, or an existing one cut to nothing.
    case createOrTruncate
}

/// All that PrustDB asks of a file system: the real one is ``PosixFileSystem``, the one that
/// crashes, fills up and rots on demand lives in the simulator.
///
/// Nothing else in this module reaches a file, SQLite included. Every call is a system call, so
/// the cost of the existential does not show.
package protocol FileSystem: AnyObject, Sendable {
    /// The process that uses this file system; written into lock files.
    var processID: Int32 { get }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File

    /// Gives a file another name, in one step, in place of a file that had it.
    func rename(_ path: String, to newPath: String) throws(FileError)

    func unlink(_ path: String) throws(FileError)

    /// The names in a directory, sorted, without `.` and `..`.
    func list(_ path: String) throws(FileError) -> [String]

    /// Makes a directory; one that is there already is fine.
    func makeDirectory(_ path: String) throws(FileError)

    /// Makes the names in a directory durable: a new file is not there after a crash before this.
    func syncDirectory(_ path: String) throws(FileError)

    /// The bytes that may still be written to the disk that holds a path.
    func freeByteCount(_ path: String) throws(FileError) -> UInt64
}

/// An open file, closed when its last reference goes.
///
/// All offsets are explicit, so that any number of threads may read one file.
package protocol File: AnyObject, Sendable {
    var path: String { get }

    /// Reads until the buffer is full or the file ends.
    ///
    /// - Parameters:
    ///   - buffer: Where the bytes go.
    ///   - offset: Where in the file they start.
    /// - Returns: The bytes read; fewer than asked for only at the end of the file.
    /// - Throws: The error of the system call.
    func read(
        into buffer: UnsafeMutableRawBufferPointer,
        at offset: UInt64
    ) throws(FileError)
        -> Int

    /// Writes all bytes, or throws; how many were written before an error is unknown.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(FileError)

    /// Writes several buffers one after the other with one call.
    func write(gather buffers: [UnsafeRawBufferPointer], at offset: UInt64) throws(FileError)

    /// Makes the contents durable, and of the metadata what is needed to read them.
    ///
    /// After a failure the unwritten pages may count as clean: a second try that succeeds proves
    /// nothing, so nobody may try again on the same file.
    func syncData() throws(FileError)

    /// Makes contents and metadata durable, with the same warning.
    func sync() throws(FileError)

    func truncate(to byteCount: UInt64) throws(FileError)

    /// Reserves disk space, and makes the file at least so long.
    func allocate(from offset: UInt64, byteCount: UInt64) throws(FileError)

    func size() throws(FileError) -> UInt64

    /// Takes the exclusive lock of this file until the file is closed, or the process ends.
    ///
    /// - Returns: Whether it was free.
    func lock() throws(FileError) -> Bool
}

extension FileSystem {
    /// The whole contents of a file.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - byteCountMax: The most that is read; the rest of a longer file is left out.
    /// - Returns: The bytes.
    /// - Throws: The error of the first call that failed.
    package func contents(of path: String, byteCountMax: Int) throws(FileError) -> [UInt8] {
        let file = try self.open(path, .read)
        let byteCount = Int(min(try file.size(), UInt64(clamping: byteCountMax)))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 8)
        defer { buffer.deallocate() }
        let readCount = try file.read(into: buffer, at: 0)
        return Array(buffer.prefix(readCount))
    }

    /// Writes a small file so that after a crash it is there whole or not at all.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - directory: The directory that holds it.
    ///   - contents: What it says from now on.
    /// - Throws: The error of the first call that failed.
    package func replace(
        _ path: String,
        in directory: String,
        with contents: [UInt8]
    ) throws(FileError) {
        let temporary = path + ".tmp"
        let file = try self.open(temporary, .createOrTruncate)
        try file.write(all: contents, at: 0)
        try file.sync()
        try self.rename(temporary, to: path)
        try self.syncDirectory(directory)
    }
}

extension File {
    package func write(all bytes: [UInt8], at offset: UInt64) throws(FileError) {
        var failure: FileError?
        bytes.withUnsafeBytes { buffer in
            do throws(FileError) {
                try self.write(buffer, at: offset)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }
}
