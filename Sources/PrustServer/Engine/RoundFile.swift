import PrustStorage

/// The number of the newest opening of the storage (`META.round`), from which terms are made.
///
/// The file has two slots of one block each. An opening writes its number into both, in place, so
/// that a full disk does not keep it from being counted; each is durable before the next is
/// touched. Whatever a crash, a sync that failed or a bad sector does to one of them, the other
/// says a number that is not below that of any opening that came to its end. Both are written
/// every time: a number that was read may be in the page cache only, after a sync that failed,
/// and the slot beside it may be the only one that is on the disk.
struct RoundFile {
    static let slotByteCount = 4096
    private static let slotCount = 2
    /// Digits of the number that is the whole file in a directory of an earlier release.
    private static let bareByteCountMax = 10

    let directory: String
    let fileSystem: any FileSystem

    private var path: String { "\(self.directory)/META.round" }

    /// Counts an opening, durably, before anything is written under its number.
    ///
    /// Without the number of the last one the versions of new records could be below those of old
    /// ones, so a file that is missing or damaged keeps the storage closed.
    ///
    /// - Parameter hasRecords: Something was written here before, so that there must be a file.
    /// - Returns: A number above those of all openings that came to their end.
    /// - Throws: `.damaged` without a number, `.full` or `.file` if it cannot be written.
    func next(hasRecords: Bool) throws(StorageError) -> UInt32 {
        let found = try Self.wrap { () throws(FileError) -> [[UInt8]]? in try self.slots() }
        guard let slots = found else {
            guard !hasRecords else {
                throw .damaged(
                    path: self.path,
                    reason: "it is missing: restore it with the directory"
                )
            }
            try Self.wrap { () throws(FileError) in try self.replace(with: 1) }
            return 1
        }
        guard let last = Self.decode(slots), last.number < .max else {
            throw .damaged(path: self.path, reason: "expected the number of a start")
        }
        let number = last.number + 1
        if last.hasSlots {
            try Self.wrap { () throws(FileError) in try self.overwrite(with: number) }
        } else {
            try Self.wrap { () throws(FileError) in try self.replace(with: number) }
        }
        return number
    }

    // MARK: Contents

    /// One slot: a line of text that an operator can read, then zeros.
    static func encode(_ number: UInt32) -> [UInt8] {
        let text = "prustdb-round \(number)"
        let checksum = Array(text.utf8).withUnsafeBytes { Checksum.crc32c($0) }
        let line = Array("\(text) crc32c \(String(checksum, radix: 16))\n".utf8)
        return line + [UInt8](repeating: 0, count: Self.slotByteCount - line.count)
    }

    private static func decode(_ slots: [[UInt8]]) -> (number: UInt32, hasSlots: Bool)? {
        if let number = slots.compactMap({ Self.number(in: $0) }).max() { return (number, true) }
        let bytes = Array(slots.joined())
        guard bytes.count <= Self.bareByteCountMax,
            let number = UInt32(String(decoding: bytes, as: UTF8.self))
        else { return nil }
        return (number, false)
    }

    /// The number of a slot of which every byte is as it was written.
    private static func number(in slot: [UInt8]) -> UInt32? {
        let line = slot.prefix { $0 != UInt8(ascii: "\n") }
        let words = String(decoding: line, as: UTF8.self).split(separator: " ")
        guard words.count > 1, let number = UInt32(words[1]),
            slot == Self.encode(number)
        else { return nil }
        return number
    }

    // MARK: The file

    /// What the file has in the places of its slots; `nil` without a file.
    ///
    /// One that the disk cannot read is left out, unless there is nothing else.
    private func slots() throws(FileError) -> [[UInt8]]? {
        let file: any File
        do throws(FileError) {
            file = try self.fileSystem.open(self.path, .read)
        } catch {
            guard error.isNotFound else { throw error }
            return nil
        }
        var slots: [[UInt8]] = []
        var failure: FileError?
        for index in 0..<Self.slotCount {
            do throws(FileError) {
                let slot = try Self.read(file, at: UInt64(index * Self.slotByteCount))
                slots.append(slot)
            } catch {
                guard error.isDiskFailure else { throw error }
                failure = error
            }
        }
        if let failure, slots.isEmpty { throw failure }
        return slots
    }

    private static func read(_ file: any File, at offset: UInt64) throws(FileError) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Self.slotByteCount,
            alignment: 8
        )
        defer { buffer.deallocate() }
        let count = try file.read(into: buffer, at: offset)
        return Array(buffer.prefix(count))
    }

    private func overwrite(with number: UInt32) throws(FileError) {
        // An earlier start may have died between the rename of this file and its sync: a crash
        // must not bring back the file before it.
        try self.fileSystem.syncDirectory(self.directory)
        let file = try self.fileSystem.open(self.path, .readWrite)
        let slot = Self.encode(number)
        for index in 0..<Self.slotCount {
            try file.write(all: slot, at: UInt64(index * Self.slotByteCount))
            try file.syncData()
        }
    }

    /// Makes a new file with its blocks, in one step, also from one of an earlier release.
    private func replace(with number: UInt32) throws(FileError) {
        let slot = Self.encode(number)
        try self.fileSystem.replace(self.path, in: self.directory, with: slot + slot)
    }

    private static func wrap<R>(_ body: () throws(FileError) -> R) throws(StorageError) -> R {
        do throws(FileError) {
            return try body()
        } catch {
            throw error.isNoSpace ? .full(error) : .file(error)
        }
    }
}
