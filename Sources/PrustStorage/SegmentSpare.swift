internal import Synchronization

/// Keeps one file of zeros ready that becomes the next segment, made by a thread that has time,
/// so that the log writer never waits for it.
///
/// It is there to save time and must not cost room: it is only made where there is plenty, and
/// given up when the log needs what it takes.
package final class SegmentSpare: Sendable {
    package struct Ready: Sendable {
        var path: String
        var file: any File
        var byteCount: UInt64
    }

    private enum State {
        case none
        case preparing
        /// The log needs the room: the file is on its way out.
        case givenUp
        case ready(Ready)
    }

    private static let syncByteCount: UInt64 = 8 * 1024 * 1024

    private let directory: SegmentDirectory
    private let byteCount: UInt64
    private let state = Mutex(State.none)
    private let wanted = Atomic(false)

    init(directory: SegmentDirectory, byteCount: UInt64) {
        self.directory = directory
        self.byteCount = byteCount
    }

    /// The log is more than half through its segment and no spare file is there yet.
    package var isWanted: Bool { self.wanted.load(ordering: .acquiring) }

    /// Makes the spare file, if it is wanted and there is room enough; on any thread but the log's.
    package func prepare() throws(StorageError) {
        guard self.isWanted else { return }
        let isMine = self.state.withLock { state in
            guard case .none = state else { return false }
            state = .preparing
            return true
        }
        guard isMine else { return }
        self.wanted.store(false, ordering: .releasing)
        let path = "\(self.directory.path)/spare.tmp"
        do throws(FileError) {
            let file = try self.makeFile(path)
            if let file, self.offer(Ready(path: path, file: file, byteCount: self.byteCount)) {
                return
            }
            self.withdraw(path)
        } catch {
            self.withdraw(path)
            throw error.isNoSpace ? .full(error) : .file(error)
        }
    }

    /// Writes the file in steps, so that the log's own syncs do not queue behind all of it.
    ///
    /// - Returns: The file, `nil` when there is not room enough.
    private func makeFile(_ path: String) throws(FileError) -> (any File)? {
        guard try self.hasRoom(behind: 0) else { return nil }
        let file = try self.directory.fileSystem.open(path, .createOrTruncate)
        var next: UInt64 = 0
        while next < self.byteCount {
            let end = min(self.byteCount, next + Self.syncByteCount)
            try SegmentDirectory.writeZeros(file, from: next, to: end)
            try file.syncData()
            next = end
            guard try self.hasRoom(behind: next) else { return nil }
        }
        return file
    }

    /// Whether the disk has room for the rest of the file and as much as the whole of it besides.
    private func hasRoom(behind written: UInt64) throws(FileError) -> Bool {
        let isGivenUp = self.state.withLock { state in
            if case .givenUp = state { true } else { false }
        }
        guard !isGivenUp else { return false }
        let free = try self.directory.fileSystem.freeByteCount(self.directory.path)
        return free >= self.byteCount - written + self.byteCount
    }

    /// Makes the file known to the log, unless it has given it up meanwhile.
    private func offer(_ ready: Ready) -> Bool {
        self.state.withLock { state in
            guard case .preparing = state else { return false }
            state = .ready(ready)
            return true
        }
    }

    private func withdraw(_ path: String) {
        // Left behind it costs space until the next start, which removes it.
        do throws(FileError) { try self.directory.fileSystem.unlink(path) } catch {}
        self.state.withLock { $0 = .none }
    }

    /// Asks for a spare file, unless one is there or on its way.
    func want() {
        let isMissing = self.state.withLock { state in
            if case .none = state { true } else { false }
        }
        if isMissing { self.wanted.store(true, ordering: .releasing) }
    }

    /// Hands the spare file out, if there is one.
    func take() -> Ready? {
        self.wanted.store(false, ordering: .releasing)
        return self.state.withLock { state in
            guard case .ready(let ready) = state else { return nil }
            state = .none
            return ready
        }
    }

    /// Gives up the spare file, also one in the making, for the room that it takes.
    ///
    /// - Returns: Whether there is more room now.
    func giveUp() -> Bool {
        self.wanted.store(false, ordering: .releasing)
        let ready = self.state.withLock { state -> Ready? in
            switch state {
            case .none, .givenUp:
                return nil
            case .preparing:
                state = .givenUp
                return nil
            case .ready(let ready):
                state = .givenUp
                return ready
            }
        }
        guard let ready else { return false }
        defer { self.state.withLock { $0 = .none } }
        do throws(FileError) {
            try self.directory.fileSystem.unlink(ready.path)
            // Its blocks are free once its name is gone for good.
            try self.directory.fileSystem.syncDirectory(self.directory.path)
            return true
        } catch {
            return false
        }
    }

    /// Removes a spare file that nobody needs any more.
    func discard() {
        _ = self.giveUp()
    }
}
