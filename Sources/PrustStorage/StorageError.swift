/// Why the storage cannot do what it was asked to.
package enum StorageError: Error, Hashable, Sendable {
    case file(FileError)
    /// Another process uses the directory.
    case locked(path: String, holder: Int32?)
    /// A later release of PrustDB wrote this.
    case newerFormat(path: String, found: UInt32, supported: UInt32)
    case damaged(path: String, reason: String)
    /// A segment of another storage directory.
    case foreignSegment(path: String)
    case missingSegments([UInt32])
    case index(IndexError)
    /// The disk is full: nothing was written, and it may work again later.
    case full(FileError)
    /// A write or a sync failed earlier: nothing more is acknowledged until the storage has been
    /// opened again.
    case failed(String)
    case closed
    case recordTooLarge(byteCount: Int, byteCountMax: Int)
}

extension StorageError {
    /// Runs something that only files can spoil.
    static func wrap<R>(_ body: () throws(FileError) -> R) throws(StorageError) -> R {
        do throws(FileError) {
            return try body()
        } catch {
            throw error.isNoSpace ? .full(error) : .file(error)
        }
    }
}

extension StorageError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .file(let error): "\(error)"
        case .locked(let path, let holder):
            if let holder {
                "\(path) is in use by process \(holder)"
            } else {
                "\(path) is in use by another process"
            }
        case .newerFormat(let path, let found, let supported):
            "\(path) has format \(found), written by a later release; this one reads up to "
                + "\(supported)"
        case .damaged(let path, let reason): "\(path) is damaged: \(reason)"
        case .foreignSegment(let path): "\(path) belongs to another storage directory"
        case .missingSegments(let segments): Self.describe(missing: segments)
        case .index(let error): "index: \(error)"
        case .full(let error): "the disk is full: \(error)"
        case .failed(let reason):
            "the log stopped after a failure and must be opened again: \(reason)"
        case .closed: "the storage is closed"
        case .recordTooLarge(let byteCount, let byteCountMax):
            "\(byteCount) bytes of key or value, above the limit of \(byteCountMax)"
        }
    }

    private static func describe(missing segments: [UInt32]) -> String {
        let numbers = segments.prefix(10).map { String($0) }.joined(separator: ", ")
        let rest = segments.count > 10 ? " and \(segments.count - 10) more" : ""
        return "segments are missing: \(numbers)\(rest); restore them, or set "
            + "storage.on-missing-segments to serve to go on without them"
    }
}

/// Why the index cannot do what it was asked to.
package struct IndexError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// Its bytes are wrong. It has been removed: open the storage again to rebuild it.
        case damaged
        /// The disk is full: nothing was changed, and it may work again later.
        case full
        /// A read, write or sync failed: it takes no more changes until it is opened again.
        case failed
        case closed
    }

    package var kind: Kind
    package var message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    package var description: String { self.message }
}
