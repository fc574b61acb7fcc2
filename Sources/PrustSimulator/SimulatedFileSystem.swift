internal import Glibc
package import PrustCore
package import PrustStorage
internal import Synchronization

/// A file system in memory that crashes, fails, fills up and rots on demand, and always in the
/// same way.
///
/// Each file has what is on the disk and what programs see. A sync brings the two together; a
/// crash keeps a random choice of the sectors in between, and a random number of the directory's
/// changes, in order, as a journaling file system does. A sync that fails drops what was to be
/// written, and later syncs succeed without it: so does Linux. What is read there afterwards is up
/// to the file system, and here to the fault.
package final class SimulatedFileSystem: FileSystem {
    /// Calls that can fail.
    package enum Call: CaseIterable, Hashable, Sendable {
        case open
        case read
        case write
        case syncData
        case sync
        case truncate
        case allocate
        case size
        case rename
        case unlink
        case list
        case makeDirectory
        case syncDirectory
        case lock

        var changesNothing: Bool {
            switch self {
            case .read, .size, .list, .lock: true
            case .open, .write, .syncData, .sync, .truncate, .allocate, .rename, .unlink,
                .makeDirectory, .syncDirectory:
                false
            }
        }
    }

    /// What goes wrong, and when.
    package struct Fault: Sendable {
        package enum Effect: Sendable {
            /// The call does nothing and answers with an error.
            case fails(Int32)
            /// A write does its first half and answers with an error; another call only fails.
            case writesHalf(Int32)
            /// The machine dies before the call: it and all later ones fail.
            case crashes
        }

        /// The kind of call that counts, `nil` for any that may change something.
        var call: Call?
        /// Which one, from 0, counted from when the fault was planted.
        var index: Int
        var effect: Effect
        /// All later calls of the kind fail too.
        var isLasting: Bool
        /// After a sync that failed, what it was to write reads as before, from the disk (XFS and
        /// btrfs may do that); else it goes on being seen until a crash (ext4).
        var isReverting: Bool

        package init(
            _ call: Call?,
            index: Int,
            _ effect: Effect,
            isLasting: Bool = false,
            isReverting: Bool = false
        ) {
            self.call = call
            self.index = index
            self.effect = effect
            self.isLasting = isLasting
            self.isReverting = isReverting
        }
    }

    private let state: Mutex<SimulatedDisk>

    package var processID: Int32 { 1 }

    /// Makes an empty file system.
    ///
    /// - Parameter capacity: Bytes that all files together may have.
    package init(capacity: UInt64 = .max) {
        self.state = Mutex(SimulatedDisk(capacity: capacity))
    }

    // MARK: - Steering

    package func plant(_ fault: Fault?) {
        self.state.withLock { $0.plant(fault) }
    }

    /// Whether the fault that was planted has struck.
    package var hasStruck: Bool { self.state.withLock { $0.hasStruck } }

    /// The calls made so far, by kind.
    package func count(_ call: Call) -> Int { self.state.withLock { $0.counts[call] ?? 0 } }

    package var callCount: Int { self.state.withLock { $0.counts.values.reduce(0, +) } }

    package func setCapacity(_ capacity: UInt64) {
        self.state.withLock { $0.capacity = capacity }
    }

    /// Bytes of all files.
    package var usedByteCount: UInt64 { self.state.withLock { $0.usedByteCount } }

    /// Loses what was not synced, or some of it.
    ///
    /// All open files are closed, all locks are free.
    package func crash(random: inout SeededRandom) {
        self.state.withLock { $0.crash(random: &random) }
    }

    /// Ends the process but not the machine: open files are closed, what was written is seen.
    package func kill() {
        self.state.withLock { $0.endGeneration() }
    }

    /// The contents of a file as a program sees them.
    package func bytes(of path: String) -> [UInt8]? {
        self.state.withLock { disk in disk.inode(path)?.bytes }
    }

    /// Puts other contents in a file, on the disk too.
    package func setBytes(_ bytes: [UInt8], of path: String) {
        self.state.withLock { $0.replace(path, with: bytes) }
    }

    package func flipBit(of path: String, offset: Int, bit: Int) {
        guard var bytes = self.bytes(of: path), bytes.indices.contains(offset) else { return }
        bytes[offset] ^= 1 << UInt8(bit & 7)
        self.setBytes(bytes, of: path)
    }

    /// Makes the sectors that hold a range of a file's bytes unreadable, until they are written
    /// again or cut off.
    package func spoil(_ range: Range<Int>, of path: String) {
        self.state.withLock { $0.spoil(path, range) }
    }

    /// A copy of everything on the disk, without open files and faults.
    package func copy() -> SimulatedFileSystem {
        let copy = SimulatedFileSystem()
        let disk = self.state.withLock { $0.copied() }
        copy.state.withLock { $0 = disk }
        return copy
    }

    // MARK: - FileSystem

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let handle = try self.state.withLock { (disk) throws(FileError) in
            try disk.open(path, mode)
        }
        return SimulatedFile(path: path, fileSystem: self, handle: handle)
    }

    package func rename(_ path: String, to newPath: String) throws(FileError) {
        try self.state.withLock { (disk) throws(FileError) in try disk.rename(path, newPath) }
    }

    package func unlink(_ path: String) throws(FileError) {
        try self.state.withLock { (disk) throws(FileError) in try disk.unlink(path) }
    }

    package func list(_ path: String) throws(FileError) -> [String] {
        try self.state.withLock { (disk) throws(FileError) in try disk.list(path) }
    }

    package func makeDirectory(_ path: String) throws(FileError) {
        try self.state.withLock { (disk) throws(FileError) in try disk.makeDirectory(path) }
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        try self.state.withLock { (disk) throws(FileError) in try disk.syncDirectory(path) }
    }

    package func freeByteCount(_ path: String) throws(FileError) -> UInt64 {
        self.state.withLock { $0.capacity - min($0.capacity, $0.usedByteCount) }
    }

    fileprivate func run<R: Sendable>(
        _ body: (inout SimulatedDisk) throws(FileError) -> R
    ) throws(FileError) -> R {
        try self.state.withLock { (disk) throws(FileError) -> R in try body(&disk) }
    }
}

/// An open file of a ``SimulatedFileSystem``; useless after a crash.
private final class SimulatedFile: File {
    let path: String
    private let fileSystem: SimulatedFileSystem
    private let handle: SimulatedDisk.Handle

    init(path: String, fileSystem: SimulatedFileSystem, handle: SimulatedDisk.Handle) {
        self.path = path
        self.fileSystem = fileSystem
        self.handle = handle
    }

    deinit {
        let handle = self.handle
        // A closed file gives its lock back; there is nothing else that could fail.
        _ = try? self.fileSystem.run { (disk) throws(FileError) in disk.close(handle) }
    }

    func read(
        into buffer: UnsafeMutableRawBufferPointer,
        at offset: UInt64
    ) throws(FileError) -> Int {
        let handle = self.handle
        let bytes = try self.fileSystem.run { (disk) throws(FileError) in
            try disk.read(handle, offset: offset, byteCount: buffer.count)
        }
        buffer.copyBytes(from: bytes)
        return bytes.count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(FileError) {
        guard !bytes.isEmpty else { return }
        let handle = self.handle
        let copy = Array(bytes)
        try self.fileSystem.run { (disk) throws(FileError) in
            try disk.write(handle, copy, offset: offset)
        }
    }

    func write(
        gather buffers: [UnsafeRawBufferPointer],
        at offset: UInt64
    ) throws(FileError) {
        let handle = self.handle
        var all: [UInt8] = []
        for buffer in buffers { all.append(contentsOf: buffer) }
        let copy = all
        try self.fileSystem.run { (disk) throws(FileError) in
            try disk.write(handle, copy, offset: offset)
        }
    }

    func syncData() throws(FileError) {
        let handle = self.handle
        try self.fileSystem.run { (disk) throws(FileError) in try disk.sync(handle, .syncData) }
    }

    func sync() throws(FileError) {
        let handle = self.handle
        try self.fileSystem.run { (disk) throws(FileError) in try disk.sync(handle, .sync) }
    }

    func truncate(to byteCount: UInt64) throws(FileError) {
        let handle = self.handle
        try self.fileSystem.run { (disk) throws(FileError) in
            try disk.truncate(handle, to: byteCount)
        }
    }

    func allocate(from offset: UInt64, byteCount: UInt64) throws(FileError) {
        let handle = self.handle
        try self.fileSystem.run { (disk) throws(FileError) in
            try disk.allocate(handle, through: offset &+ byteCount)
        }
    }

    func size() throws(FileError) -> UInt64 {
        let handle = self.handle
        return try self.fileSystem.run { (disk) throws(FileError) in try disk.size(handle) }
    }

    func lock() throws(FileError) -> Bool {
        let handle = self.handle
        return try self.fileSystem.run { (disk) throws(FileError) in try disk.lock(handle) }
    }
}
