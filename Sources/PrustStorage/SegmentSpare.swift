internal import Synchronization

/// Keeps one file of zeros ready that becomes the next segment, made by a thread that has time,
/// so that the log writer never waits for it.
package final class SegmentSpare: Sendable {
    package struct Ready: Sendable {
        var path: String
        var file: any File
        var byteCount: UInt64
    }

    private enum State {
        case none
        case preparing
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

    /// Makes the spare file, if it is wanted; on any thread but the log's.
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
            let file = try self.directory.fileSystem.open(path, .createOrTruncate)
            var next: UInt64 = 0
            while next < self.byteCount {
                let end = min(self.byteCount, next + Self.syncByteCount)
                try SegmentDirectory.writeZeros(file, from: next, to: end)
                // In steps, so that the log's own syncs do not queue behind all of it.
                try file.syncData()
                next = end
            }
            let ready = Ready(path: path, file: file, byteCount: self.byteCount)
            self.state.withLock { $0 = .ready(ready) }
        } catch {
            do throws(FileError) { try self.directory.fileSystem.unlink(path) } catch {}
            self.state.withLock { $0 = .none }
            throw error.isNoSpace ? .full(error) : .file(error)
        }
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

    /// Removes a spare file that nobody needs any more.
    func discard() {
        guard let ready = self.take() else { return }
        // Left behind it costs space until the next start, which removes it.
        do throws(FileError) { try self.directory.fileSystem.unlink(ready.path) } catch {}
    }
}
