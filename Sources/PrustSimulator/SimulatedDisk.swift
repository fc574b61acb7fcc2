internal import Glibc
internal import PrustCore
internal import PrustStorage

/// The state of a ``SimulatedFileSystem``.
struct SimulatedDisk: Sendable {
    typealias Call = SimulatedFileSystem.Call
    typealias Fault = SimulatedFileSystem.Fault

    static let sectorByteCount = 512

    struct Inode: Sendable {
        /// What programs see.
        var bytes: [UInt8] = []
        /// What a crash leaves.
        var durable: [UInt8] = []
        /// Sectors whose contents are to be written by the next sync.
        var dirty: Set<Int> = []
        /// The length is to be written by the next sync.
        var isSizeDirty = false
        /// Sectors that the disk cannot read, until they are written again.
        var bad: Set<Int> = []
    }

    struct Handle: Hashable, Sendable {
        var generation: Int
        var id: Int
        var inode: Int
        var path: String
    }

    /// One change of a directory that a crash may lose.
    enum Change: Sendable {
        case link(String, Int)
        case unlink(String)
        case rename(String, String)
    }

    struct Directory: Sendable {
        var names: [String: Int] = [:]
        var durable: [String: Int] = [:]
        var changes: [Change] = []
    }

    var capacity: UInt64
    var counts: [Call: Int] = [:]
    private(set) var hasStruck = false
    private var fault: Fault?
    private var faultCount = 0
    private var isDead = false
    private var inodes: [Int: Inode] = [:]
    private var directories: [String: Directory] = ["/": Directory()]
    private var durableDirectories: Set<String> = ["/"]
    private var nextID = 1
    private var generation = 0
    private var openHandles: [Int: Int] = [:]
    private var locks: [Int: Int] = [:]

    init(capacity: UInt64) {
        self.capacity = capacity
    }

    var usedByteCount: UInt64 {
        // Every directory names its files, so that the order of no set matters here.
        self.inodes.values.reduce(0) { $0 + UInt64($1.bytes.count) }
    }

    // MARK: - Steering

    mutating func plant(_ fault: Fault?) {
        self.fault = fault
        self.faultCount = 0
        self.hasStruck = false
    }

    func copied() -> SimulatedDisk {
        var copy = self
        copy.fault = nil
        copy.counts = [:]
        copy.hasStruck = false
        copy.endGeneration()
        return copy
    }

    mutating func endGeneration() {
        self.generation += 1
        self.openHandles = [:]
        self.locks = [:]
        self.isDead = false
        self.fault = nil
    }

    func inode(_ path: String) -> Inode? {
        self.lookup(path).flatMap { self.inodes[$0] }
    }

    mutating func replace(_ path: String, with bytes: [UInt8]) {
        guard let id = self.lookup(path) else { return }
        self.inodes[id] = Inode(bytes: bytes, durable: bytes)
    }

    mutating func spoil(_ path: String, _ range: Range<Int>) {
        guard let id = self.lookup(path), !range.isEmpty else { return }
        self.inodes[id]?.bad.formUnion(Self.sectors(range))
    }

    /// The sectors that hold some of the bytes of a range that is not empty.
    private static func sectors(_ range: Range<Int>) -> ClosedRange<Int> {
        range.lowerBound / Self.sectorByteCount...(range.upperBound - 1) / Self.sectorByteCount
    }

    mutating func crash(random: inout SeededRandom) {
        let names = self.directories.keys.sorted()
        for name in names {
            guard var directory = self.directories[name] else { continue }
            let kept = Int(random.next() % UInt64(directory.changes.count + 1))
            for change in directory.changes.prefix(kept) {
                Self.apply(change, to: &directory.durable)
            }
            directory.names = directory.durable
            directory.changes = []
            self.directories[name] = directory
        }
        let used = Set(self.directories.values.flatMap { $0.names.values })
        for id in self.inodes.keys.sorted() {
            guard used.contains(id), var inode = self.inodes[id] else {
                self.inodes[id] = nil
                continue
            }
            Self.crash(&inode, random: &random)
            self.inodes[id] = inode
        }
        self.endGeneration()
    }

    private static func crash(_ inode: inout Inode, random: inout SeededRandom) {
        // All, nothing, or a coin for each sector: all three happen to real disks.
        let mode = random.next() % 3
        let keepsSize = mode == 2 || (mode == 0 && random.next() % 2 == 0)
        if inode.isSizeDirty, keepsSize {
            Self.resize(&inode.durable, to: inode.bytes.count)
        }
        for sector in inode.dirty.sorted() {
            let isKept = mode == 2 || (mode == 0 && random.next() % 2 == 0)
            if isKept { Self.copySector(sector, &inode) }
        }
        inode.bytes = inode.durable
        inode.dirty = []
        inode.isSizeDirty = false
    }

    private static func resize(_ bytes: inout [UInt8], to count: Int) {
        if bytes.count > count {
            bytes.removeLast(bytes.count - count)
        } else {
            bytes += [UInt8](repeating: 0, count: count - bytes.count)
        }
    }

    private static func copySector(_ sector: Int, _ inode: inout Inode) {
        let start = sector * Self.sectorByteCount
        let end = min(start + Self.sectorByteCount, inode.bytes.count, inode.durable.count)
        guard start < end else { return }
        inode.durable.replaceSubrange(start..<end, with: inode.bytes[start..<end])
    }

    private static func apply(_ change: Change, to names: inout [String: Int]) {
        switch change {
        case .link(let name, let inode): names[name] = inode
        case .unlink(let name): names[name] = nil
        case .rename(let name, let newName):
            if let inode = names.removeValue(forKey: name) { names[newName] = inode }
        }
    }

    // MARK: - Faults

    /// Counts a call, and lets it fail if its time has come.
    ///
    /// - Returns: The error of a write that does its first half.
    private mutating func enter(_ call: Call, _ path: String) throws(FileError) -> Int32? {
        self.counts[call, default: 0] += 1
        let operation = "\(call)"
        guard !self.isDead else { throw FileError(operation: operation, path: path, code: EIO) }
        guard let fault = self.fault, fault.call ?? call == call else { return nil }
        if fault.call == nil, call.changesNothing { return nil }
        let index = self.faultCount
        self.faultCount += 1
        guard index == fault.index || (fault.isLasting && index > fault.index) else { return nil }
        self.hasStruck = true
        switch fault.effect {
        case .fails(let code):
            throw FileError(operation: operation, path: path, code: code)
        case .writesHalf(let code):
            guard call == .write else {
                throw FileError(operation: operation, path: path, code: code)
            }
            return code
        case .crashes:
            self.isDead = true
            throw FileError(operation: operation, path: path, code: EIO)
        }
    }

    // MARK: - Names

    private static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return ("/", path) }
        let directory = path[..<slash]
        let name = path[path.index(after: slash)...]
        return (directory.isEmpty ? "/" : String(directory), String(name))
    }

    private func lookup(_ path: String) -> Int? {
        let (directory, name) = Self.split(path)
        return self.directories[directory]?.names[name]
    }

    private mutating func change(_ change: Change, in directory: String) {
        guard var changed = self.directories[directory] else { return }
        Self.apply(change, to: &changed.names)
        changed.changes.append(change)
        self.directories[directory] = changed
    }

    private func missing(_ operation: String, _ path: String) -> FileError {
        FileError(operation: operation, path: path, code: ENOENT)
    }

    mutating func open(_ path: String, _ mode: OpenMode) throws(FileError) -> Handle {
        _ = try self.enter(.open, path)
        let (directory, name) = Self.split(path)
        guard self.directories[directory] != nil else { throw self.missing("open", path) }
        var inode = self.lookup(path)
        switch mode {
        case .read, .readWrite:
            guard inode != nil else { throw self.missing("open", path) }
        case .create:
            guard inode == nil else {
                throw FileError(operation: "open", path: path, code: EEXIST)
            }
        case .createOrOpen, .createOrTruncate: break
        }
        if inode == nil {
            inode = self.nextID
            self.inodes[self.nextID] = Inode()
            self.change(.link(name, self.nextID), in: directory)
            self.nextID += 1
        }
        guard let inode else { throw self.missing("open", path) }
        if mode == .createOrTruncate { self.resizeInode(inode, to: 0) }
        let handle = Handle(
            generation: self.generation,
            id: self.nextID,
            inode: inode,
            path: path
        )
        self.nextID += 1
        self.openHandles[inode, default: 0] += 1
        return handle
    }

    mutating func close(_ handle: Handle) {
        guard handle.generation == self.generation else { return }
        if self.locks[handle.inode] == handle.id { self.locks[handle.inode] = nil }
        self.openHandles[handle.inode, default: 1] -= 1
        self.collect(handle.inode)
    }

    /// Forgets a file that has neither a name nor an open handle.
    private mutating func collect(_ id: Int) {
        guard self.openHandles[id] ?? 0 == 0 else { return }
        for name in self.directories.keys.sorted() {
            guard let directory = self.directories[name] else { continue }
            if directory.names.values.contains(id) || directory.durable.values.contains(id) {
                return
            }
            for case .link(_, id) in directory.changes { return }
        }
        self.inodes[id] = nil
    }

    mutating func rename(_ path: String, _ newPath: String) throws(FileError) {
        _ = try self.enter(.rename, path)
        let (directory, name) = Self.split(path)
        let (newDirectory, newName) = Self.split(newPath)
        guard self.lookup(path) != nil, directory == newDirectory else {
            throw self.missing("rename", path)
        }
        self.change(.rename(name, newName), in: directory)
    }

    mutating func unlink(_ path: String) throws(FileError) {
        _ = try self.enter(.unlink, path)
        let (directory, name) = Self.split(path)
        guard let inode = self.lookup(path) else { throw self.missing("unlink", path) }
        self.change(.unlink(name), in: directory)
        self.collect(inode)
    }

    mutating func list(_ path: String) throws(FileError) -> [String] {
        _ = try self.enter(.list, path)
        guard let directory = self.directories[path] else { throw self.missing("list", path) }
        return directory.names.keys.sorted()
    }

    mutating func makeDirectory(_ path: String) throws(FileError) {
        _ = try self.enter(.makeDirectory, path)
        if self.directories[path] == nil { self.directories[path] = Directory() }
    }

    mutating func syncDirectory(_ path: String) throws(FileError) {
        _ = try self.enter(.syncDirectory, path)
        guard var directory = self.directories[path] else { throw self.missing("open", path) }
        directory.durable = directory.names
        directory.changes = []
        self.directories[path] = directory
    }

    // MARK: - Contents

    private func inode(_ handle: Handle, _ operation: String) throws(FileError) -> Inode {
        guard handle.generation == self.generation, let inode = self.inodes[handle.inode] else {
            throw FileError(operation: operation, path: handle.path, code: EBADF)
        }
        return inode
    }

    mutating func read(
        _ handle: Handle,
        offset: UInt64,
        byteCount: Int
    ) throws(FileError) -> [UInt8] {
        _ = try self.enter(.read, handle.path)
        let inode = try self.inode(handle, "read")
        guard byteCount > 0, offset < UInt64(inode.bytes.count) else { return [] }
        let start = Int(offset)
        let range = start..<min(inode.bytes.count, start + byteCount)
        if !inode.bad.isEmpty, Self.sectors(range).contains(where: { inode.bad.contains($0) }) {
            throw FileError(operation: "read", path: handle.path, code: EIO)
        }
        return Array(inode.bytes[range])
    }

    mutating func write(_ handle: Handle, _ bytes: [UInt8], offset: UInt64) throws(FileError) {
        let failure = try self.enter(.write, handle.path)
        _ = try self.inode(handle, "write")
        let start = Int(clamping: offset)
        var written = failure == nil ? bytes[...] : bytes.prefix(bytes.count / 2)
        let size = self.inodes[handle.inode]?.bytes.count ?? 0
        let used = self.usedByteCount
        let room = used < self.capacity ? Int(clamping: self.capacity - used) : 0
        let (limit, overflow) = max(size, 0).addingReportingOverflow(room)
        let isFull = !overflow && start + written.count > limit
        if isFull { written = written.prefix(max(0, limit - start)) }
        self.store(written, at: start, in: handle.inode)
        if let failure {
            throw FileError(operation: "write", path: handle.path, code: failure)
        }
        if isFull { throw FileError(operation: "write", path: handle.path, code: ENOSPC) }
    }

    private mutating func store(_ bytes: ArraySlice<UInt8>, at start: Int, in id: Int) {
        guard !bytes.isEmpty, var inode = self.inodes.removeValue(forKey: id) else { return }
        let end = start + bytes.count
        if end > inode.bytes.count {
            Self.resize(&inode.bytes, to: end)
            inode.isSizeDirty = true
        }
        inode.bytes.replaceSubrange(start..<end, with: bytes)
        for sector in Self.sectors(start..<end) {
            inode.dirty.insert(sector)
            // A disk puts a good sector in the place of a bad one when all of it is written.
            let first = sector * Self.sectorByteCount
            if start <= first, first + Self.sectorByteCount <= end { inode.bad.remove(sector) }
        }
        self.inodes[id] = inode
    }

    mutating func sync(_ handle: Handle, _ call: Call) throws(FileError) {
        do throws(FileError) {
            _ = try self.enter(call, handle.path)
        } catch {
            if !self.isDead {
                self.drop(handle.inode, isReverting: self.fault?.isReverting ?? false)
            }
            throw error
        }
        _ = try self.inode(handle, "sync")
        guard var inode = self.inodes.removeValue(forKey: handle.inode) else { return }
        // A length is part of what is needed to read the contents, so both kinds write it.
        if inode.isSizeDirty { Self.resize(&inode.durable, to: inode.bytes.count) }
        for sector in inode.dirty.sorted() {
            // So it grows with what is written, also if an earlier sync has lost a greater length.
            let end = min((sector + 1) * Self.sectorByteCount, inode.bytes.count)
            if inode.durable.count < end { Self.resize(&inode.durable, to: end) }
            Self.copySector(sector, &inode)
        }
        inode.dirty = []
        inode.isSizeDirty = false
        self.inodes[handle.inode] = inode
    }

    /// Counts the pages as clean from now on although nothing was written.
    ///
    /// What programs read there is the new contents, or again what is on the disk.
    private mutating func drop(_ id: Int, isReverting: Bool) {
        guard var inode = self.inodes.removeValue(forKey: id) else { return }
        if isReverting {
            for sector in inode.dirty.sorted() { Self.revertSector(sector, &inode) }
        }
        inode.dirty = []
        inode.isSizeDirty = false
        self.inodes[id] = inode
    }

    private static func revertSector(_ sector: Int, _ inode: inout Inode) {
        let start = sector * Self.sectorByteCount
        let end = min(start + Self.sectorByteCount, inode.bytes.count)
        guard start < end else { return }
        var old = Array(inode.durable.dropFirst(start).prefix(end - start))
        old += [UInt8](repeating: 0, count: end - start - old.count)
        inode.bytes.replaceSubrange(start..<end, with: old)
    }

    private mutating func resizeInode(_ id: Int, to count: Int) {
        guard var inode = self.inodes[id], inode.bytes.count != count else { return }
        let old = inode.bytes.count
        Self.resize(&inode.bytes, to: count)
        inode.isSizeDirty = true
        // What a longer file shows there is zeros, also where an older end was cut off before.
        let first = min(old, count) / Self.sectorByteCount
        let last = max(old, count) / Self.sectorByteCount
        for sector in first...last { inode.dirty.insert(sector) }
        inode.bad = inode.bad.filter { $0 * Self.sectorByteCount < count }
        self.inodes[id] = inode
    }

    mutating func truncate(_ handle: Handle, to byteCount: UInt64) throws(FileError) {
        _ = try self.enter(.truncate, handle.path)
        _ = try self.inode(handle, "ftruncate")
        self.resizeInode(handle.inode, to: Int(clamping: byteCount))
    }

    mutating func allocate(_ handle: Handle, through end: UInt64) throws(FileError) {
        _ = try self.enter(.allocate, handle.path)
        let size = UInt64(try self.inode(handle, "fallocate").bytes.count)
        guard end > size else { return }
        guard end - size <= self.capacity - min(self.capacity, self.usedByteCount) else {
            throw FileError(operation: "fallocate", path: handle.path, code: ENOSPC)
        }
        self.resizeInode(handle.inode, to: Int(clamping: end))
    }

    mutating func size(_ handle: Handle) throws(FileError) -> UInt64 {
        _ = try self.enter(.size, handle.path)
        return UInt64(try self.inode(handle, "fstat").bytes.count)
    }

    mutating func lock(_ handle: Handle) throws(FileError) -> Bool {
        _ = try self.enter(.lock, handle.path)
        _ = try self.inode(handle, "flock")
        if let holder = self.locks[handle.inode], holder != handle.id { return false }
        self.locks[handle.inode] = handle.id
        return true
    }
}
