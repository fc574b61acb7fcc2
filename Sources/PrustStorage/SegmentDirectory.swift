internal import Glibc
package import PrustCore

/// Names and makes the segment files of one storage directory.
package struct SegmentDirectory: Sendable {
    package let path: String
    package let fileSystem: any FileSystem
    package let storageID: StorageID

    private static let suffix = ".seg"
    private static let digitCount = 10
    private static let zeros = [UInt8](repeating: 0, count: 1024 * 1024)

    package init(path: String, fileSystem: any FileSystem, storageID: StorageID) {
        self.path = path
        self.fileSystem = fileSystem
        self.storageID = storageID
    }

    package static func name(_ segment: UInt32) -> String {
        let digits = String(segment)
        return String(repeating: "0", count: max(0, Self.digitCount - digits.count)) + digits
            + Self.suffix
    }

    /// The number in the name of a segment file, `nil` for any other file.
    package static func number(_ name: String) -> UInt32? {
        guard name.hasSuffix(Self.suffix),
            let number = UInt32(name.dropLast(Self.suffix.count)),
            // Segments are counted from 1.
            number > 0,
            Self.name(number) == name
        else { return nil }
        return number
    }

    package func path(_ segment: UInt32) -> String {
        "\(self.path)/\(Self.name(segment))"
    }

    package func seed(_ segment: UInt32) -> RecordSeed {
        RecordSeed(storageID: self.storageID, segment: segment)
    }

    /// What a start throws that met damage and was told not to open then.
    func refusal(of region: CorruptRegion) -> StorageError {
        .damaged(
            path: self.path(region.segment),
            reason: "\(region.byteCount) bytes at offset \(region.offset) are not the records that "
                + "they were; restore the file, or set storage.on-damage to serve"
        )
    }

    /// Makes a segment that is durable, name included, when this returns.
    ///
    /// It is built under another name, so that no crash leaves half a header behind. A segment of
    /// that number that is there already is never replaced.
    ///
    /// - Parameters:
    ///   - header: What its first block says.
    ///   - records: Records that are in it from the start.
    ///   - zeroByteCount: How far it is filled with zeros, if there is room.
    ///   - spare: A file of zeros to make it from.
    /// - Returns: The file and its length.
    /// - Throws: `.full` when nothing was made, `.file` when that is not certain.
    package func create(
        _ header: SegmentHeader,
        records: UnsafeRawBufferPointer,
        zeroByteCount: UInt64,
        spare: SegmentSpare.Ready?
    ) throws(StorageError) -> (file: any File, byteCount: UInt64) {
        let path = self.path(header.segment)
        let temporary = spare?.path ?? "\(self.path)/new.tmp"
        var isRenamed = false
        do throws(FileError) {
            if try self.exists(path) {
                throw FileError(operation: "rename", path: path, code: EEXIST)
            }
            let file =
                if let spare { spare.file } else {
                    try self.fileSystem.open(temporary, .createOrTruncate)
                }
            try file.write(all: header.encoded(), at: 0)
            try file.write(records, at: UInt64(SegmentHeader.byteCount))
            let end = UInt64(SegmentHeader.byteCount) + UInt64(records.count)
            var byteCount = max(end, spare?.byteCount ?? 0)
            if byteCount < zeroByteCount {
                byteCount = try Self.extendIfThereIsRoom(
                    file,
                    byteCount: byteCount,
                    from: byteCount,
                    to: zeroByteCount
                )
            }
            try file.sync()
            try self.fileSystem.rename(temporary, to: path)
            isRenamed = true
            try self.fileSystem.syncDirectory(self.path)
            return (try self.fileSystem.open(path, .readWrite), byteCount)
        } catch {
            // Once it has its name, its header says where the segment before it ends. So nobody
            // may go on writing there.
            guard error.isNoSpace, !isRenamed else { throw .file(error) }
            // What is left of it is in the way of the next try only as bytes on a full disk.
            do throws(FileError) { try self.fileSystem.unlink(temporary) } catch {}
            throw .full(error)
        }
    }

    private func exists(_ path: String) throws(FileError) -> Bool {
        do throws(FileError) {
            _ = try self.fileSystem.open(path, .read)
            return true
        } catch {
            guard error.isNotFound else { throw error }
            return false
        }
    }

    /// Writes zeros, and takes them back if the disk is too full for them.
    ///
    /// - Parameters:
    ///   - file: The file.
    ///   - byteCount: Its length now.
    ///   - start: Where the zeros begin, at its end or behind it.
    ///   - end: Where they end.
    /// - Returns: Its length then.
    /// - Throws: The error of a write that failed for another reason.
    package static func extendIfThereIsRoom(
        _ file: any File,
        byteCount: UInt64,
        from start: UInt64,
        to end: UInt64
    ) throws(FileError) -> UInt64 {
        do throws(FileError) {
            try Self.writeZeros(file, from: start, to: end)
            return end
        } catch {
            guard error.isNoSpace else { throw error }
            try file.truncate(to: byteCount)
            return byteCount
        }
    }

    package static func writeZeros(
        _ file: any File,
        from start: UInt64,
        to end: UInt64
    ) throws(FileError) {
        var next = start
        while next < end {
            let count = min(end - next, UInt64(Self.zeros.count))
            if count == Self.zeros.count {
                try file.write(all: Self.zeros, at: next)
            } else {
                try file.write(all: Array(repeating: 0, count: Int(count)), at: next)
            }
            next += count
        }
    }
}
