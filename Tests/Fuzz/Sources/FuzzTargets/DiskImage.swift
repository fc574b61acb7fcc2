import CChecksum
import Glibc
import PrustCore
import PrustSimulator
import PrustStorage

/// The files of a storage directory, changed by the program in an input.
///
/// The first two bytes are options, then comes one operation after the other: raw bytes, sealed
/// records whose headers may lie under a right checksum, markers, zeros, flipped bits, cuts,
/// further segments, other contents of the index and of META, and a fault of the file system.
struct DiskImage {
    static let directory = "/data"
    static let storageID = StorageID(Identifier256(word0: 9, word1: 8, word2: 7, word3: 6))
    private static let segmentByteCountMax = 128 * 1024
    private static let operationCountMax = 64

    let fileSystem: SimulatedFileSystem
    private(set) var options: StorageOptions
    private(set) var fault: SimulatedFileSystem.Fault?
    let closesLog: Bool
    private var segments: [(number: UInt32, bytes: [UInt8])] = []
    private var cursor: Int
    private var groupOffset: Int
    private var meta: [UInt8]?
    private var index: (path: String, bytes: [UInt8])?

    /// The log before its end is as it was.
    private(set) var keepsOriginals = true
    /// Nothing was done but what may stand behind the end of a log.
    private(set) var mustOpen = true
    var isIndexTouched: Bool { self.index != nil }
    var isNearLastSegment: Bool { self.segments.contains { $0.number > .max - 4 } }

    init(_ input: inout FuzzInput) {
        let flags = input.byte()
        let base = flags & 1 == 0 ? Self.closed : Self.killed
        self.fileSystem = base.fileSystem.copy()
        self.cursor = base.end
        self.groupOffset = base.end
        self.closesLog = flags & 2 == 0
        self.options = Self.baseOptions
        self.options.rebuildIndex = flags & 4 != 0
        self.options.allowMissingSegments = flags & 8 != 0
        if flags & 16 != 0 { self.options.replayByteCountMax = 256 }
        if flags & 32 != 0 { self.options.extensionByteCount = 0 }
        if flags & 64 != 0 { self.options.segmentByteCount = 8192 }
        self.segments = [(1, self.fileSystem.bytes(of: Self.path(1)) ?? [])]
    }

    mutating func run(_ input: inout FuzzInput) {
        var count = 0
        while !input.isEmpty, count < Self.operationCountMax {
            self.step(&input)
            count += 1
        }
    }

    private mutating func step(_ input: inout FuzzInput) {
        switch input.byte() % 14 {
        case 0: self.put(input.take(Int(input.byte())))
        case 1, 2: self.putRecord(&input, isHonest: true)
        case 3: self.putRecord(&input, isHonest: false)
        case 4: self.putMarker()
        case 5: self.put(Array(repeating: 0, count: Int(input.short() & 0x3FFF)))
        case 6: self.flip(&input)
        case 7: self.cut(Int(input.short()))
        case 8: self.beginSegment(&input)
        case 9: self.changeIndex(&input)
        case 10: self.changeMeta(&input)
        case 11: self.copyBytes(&input)
        case 12: self.plant(&input)
        default: self.cursor += self.cursor & 7 == 0 ? 0 : 8 - (self.cursor & 7)
        }
    }

    private mutating func put(_ bytes: [UInt8]) {
        let last = self.segments.count - 1
        let end = self.cursor + bytes.count
        guard end <= Self.segmentByteCountMax else { return }
        let missing = end - self.segments[last].bytes.count
        if missing > 0 { self.segments[last].bytes += Array(repeating: 0, count: missing) }
        self.segments[last].bytes.replaceSubrange(self.cursor..<end, with: bytes)
        self.cursor = end
    }

    // MARK: Records

    /// Keys begin with a byte that no original key begins with.
    private mutating func putRecord(_ input: inout FuzzInput, isHonest: Bool) {
        let shape = input.byte()
        let key = [0xF5] + input.take(Int(input.byte() & 31))
        let value = input.take(Int(input.byte()))
        if shape & 1 == 0 { self.groupOffset = self.cursor }
        let isTombstone = isHonest ? value.isEmpty : shape & 2 != 0
        var header = RecordHeader(
            fields: RecordFields(
                version: Version(
                    term: .zero,
                    hlc: UInt64(input.short()),
                    writer: UInt32(input.byte()),
                    count: 0
                ),
                expiresAt: Int64(truncatingIfNeeded: input.word()),
                writtenAt: UInt64(input.short()),
                isTombstone: isTombstone
            ),
            byteCount: UInt32(RecordCodec.headerByteCount + key.count + value.count),
            keyByteCount: key.count,
            storedByteCount: value.count,
            valueByteCount: value.count,
            isCompressed: false,
            isMarker: false,
            groupOffset: UInt32(self.groupOffset)
        )
        if !isHonest {
            header.isCompressed = shape & 4 != 0
            header.isMarker = shape & 8 != 0
            if shape & 16 != 0 { header.keyByteCount = Int(input.short()) }
            if shape & 32 != 0 { header.valueByteCount = Int(input.word()) }
            if shape & 64 != 0 {
                // Nobody can forge this, and it says which records were never durable.
                header.groupOffset = input.word()
                self.keepsOriginals = false
            }
            if shape & 128 != 0 { header.byteCount = max(64, UInt32(input.short() & 0xFFF)) }
            header.fields.version.hlc = input.long()
            header.fields.writtenAt = input.long()
        }
        self.seal(header, key + value)
    }

    private mutating func putMarker() {
        self.groupOffset = self.cursor
        self.seal(
            RecordHeader(
                fields: RecordFields(version: .zero, writtenAt: 0),
                byteCount: UInt32(RecordCodec.headerByteCount),
                keyByteCount: 0,
                storedByteCount: 0,
                valueByteCount: 0,
                isCompressed: false,
                isMarker: true,
                groupOffset: UInt32(self.groupOffset)
            ),
            []
        )
    }

    private mutating func seal(_ header: RecordHeader, _ content: [UInt8]) {
        let byteCount = RecordCodec.paddedByteCount(Int(header.byteCount))
        let offset = UInt32(self.cursor)
        let segment = self.segments[self.segments.count - 1].number
        let seed = RecordSeed(storageID: Self.storageID, segment: segment)
        var bytes = Array(repeating: UInt8(0), count: RecordCodec.headerByteCount) + content
        bytes = Array((bytes + Array(repeating: 0xEE, count: byteCount)).prefix(byteCount))
        bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            RecordCodec.seal(base, header: header, seed: seed, offset: offset)
        }
        self.put(bytes)
    }

    // MARK: Damage

    private mutating func damage() {
        self.keepsOriginals = false
        self.mustOpen = false
    }

    private mutating func flip(_ input: inout FuzzInput) {
        self.damage()
        let segment = Int(input.byte()) % self.segments.count
        let count = self.segments[segment].bytes.count
        guard count > 0 else { return }
        let offset = Int(input.short()) % count
        self.segments[segment].bytes[offset] ^= max(1, input.byte())
    }

    private mutating func cut(_ byteCount: Int) {
        self.damage()
        let last = self.segments.count - 1
        self.segments[last].bytes.removeLast(min(byteCount, self.segments[last].bytes.count))
        self.cursor = min(self.cursor, self.segments[last].bytes.count)
    }

    /// Bytes from elsewhere, as after a write that the disk put in the wrong place.
    private mutating func copyBytes(_ input: inout FuzzInput) {
        let bytes = self.segments[Int(input.byte()) % self.segments.count].bytes
        let start = min(bytes.count, Int(input.short()))
        let end = min(bytes.count, start + Int(input.short() & 0x3FF))
        self.put(Array(bytes[start..<end]))
    }

    private mutating func beginSegment(_ input: inout FuzzInput) {
        let shape = input.byte()
        guard self.segments.count < 8 else { return }
        let last = self.segments[self.segments.count - 1].number
        var number = last &+ 1
        if shape & 1 != 0 { number = shape & 2 == 0 ? input.word() : last &+ UInt32(input.byte()) }
        guard !self.segments.contains(where: { $0.number == number }) else { return }
        var header = SegmentHeader(
            segment: number,
            storageID: Self.storageID,
            previousByteCount: UInt64(self.cursor),
            createdAt: 1
        )
        if shape & 4 != 0 { header.previousByteCount = UInt64(input.word()) }
        if shape & 8 != 0 { header.segment = input.word() }
        if shape & 16 != 0 { header.storageID = StorageID(.zero) }
        var bytes = header.encoded()
        if shape & 32 != 0 { bytes = Array(bytes.prefix(Int(input.short()))) }
        if shape != 0 { self.damage() }
        self.segments.append((number, bytes))
        self.cursor = bytes.count
        self.groupOffset = bytes.count
    }

    private mutating func changeIndex(_ input: inout FuzzInput) {
        let shape = input.byte()
        let names = (try? self.fileSystem.list("\(Self.directory)/index")) ?? []
        guard !names.isEmpty else { return }
        let path = "\(Self.directory)/index/\(names[Int(input.byte()) % names.count])"
        var bytes = self.index?.bytes ?? self.fileSystem.bytes(of: path) ?? []
        switch shape % 3 {
        case 0: bytes = input.take(Int(input.short() & 0x3FF))
        case 1: bytes.removeLast(min(bytes.count, Int(input.short())))
        default:
            guard !bytes.isEmpty else { return }
            for _ in 0...shape >> 4 {
                bytes[Int(input.short()) % bytes.count] = input.byte()
            }
        }
        self.index = (self.index?.path ?? path, bytes)
        // A changed page may say anything of any key.
        self.keepsOriginals = false
    }

    private mutating func changeMeta(_ input: inout FuzzInput) {
        self.damage()
        let shape = input.byte()
        var text = String(decoding: input.take(Int(input.byte())), as: UTF8.self)
        if shape & 1 == 0 {
            text = "prustdb storage\nformat 1\nstorage-id \(Self.storageID)\n" + text
        }
        if shape & 2 == 0 {
            let bytes = Array(text.utf8)
            let digits = String(prust_crc32c(0, bytes, bytes.count), radix: 16)
            text += "crc32c " + String(repeating: "0", count: 8 - digits.count) + digits + "\n"
        }
        self.meta = Array(text.utf8)
    }

    private mutating func plant(_ input: inout FuzzInput) {
        let index = Int(input.byte())
        let effects: [SimulatedFileSystem.Fault.Effect] = [
            .fails(EIO), .fails(ENOSPC), .writesHalf(ENOSPC), .writesHalf(EIO), .crashes,
        ]
        let shape = input.byte()
        self.fault = SimulatedFileSystem.Fault(
            nil,
            index: index,
            effects[Int(shape) % effects.count],
            isLasting: shape & 128 != 0
        )
    }

    // MARK: Files

    private static func path(_ segment: UInt32) -> String {
        "\(Self.directory)/segments/\(SegmentDirectory.name(segment))"
    }

    func install() {
        succeed("writing the files of the image") {
            for (number, bytes) in self.segments {
                let file = try self.fileSystem.open(Self.path(number), .createOrTruncate)
                try file.write(all: bytes, at: 0)
            }
        }
        for (number, bytes) in self.segments {
            self.fileSystem.setBytes(bytes, of: Self.path(number))
        }
        if let meta { self.fileSystem.setBytes(meta, of: "\(Self.directory)/META") }
        if let index { self.fileSystem.setBytes(index.bytes, of: index.path) }
        self.fileSystem.kill()
    }

    /// Any function will do, as long as different keys hardly meet.
    static func hash(_ key: some Collection<UInt8>) -> KeyID {
        var words: [UInt64] = []
        for start in [0xCBF2_9CE4_8422_2325, 1, 2, 3] as [UInt64] {
            words.append(key.reduce(start) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 })
        }
        return KeyID(
            Identifier256(word0: words[0], word1: words[1], word2: words[2], word3: words[3])
        )
    }
}

// MARK: The healthy directories

extension DiskImage {
    struct Base: Sendable {
        var fileSystem: SimulatedFileSystem
        /// Where the log ends.
        var end: Int
    }

    static let closed = Self.makeBase(isClosed: true)
    static let killed = Self.makeBase(isClosed: false)

    /// Keys and values of the records in both directories; some compress, some do not.
    static let originals: [(key: [UInt8], value: [UInt8])] = (0..<8).map { index in
        let text = "original \(index), "
        let value = String(repeating: text, count: index % 2 == 0 ? 1 : 30)
        return (Array("key \(index)".utf8), Array(value.utf8))
    }

    static let baseOptions: StorageOptions = {
        var options = StorageOptions(
            newStorageID: Self.storageID,
            createdAt: WallTime(milliseconds: 1_700_000_000_000)
        )
        options.segmentByteCount = 64 * 1024
        options.extensionByteCount = 4096
        options.indexCacheByteCount = 1024 * 1024
        return options
    }()

    /// Half of the records are in the index, the others in the tail of the log.
    private static func makeBase(isClosed: Bool) -> Base {
        let fileSystem = SimulatedFileSystem()
        return succeed("making a healthy directory") {
            let storage = try Storage.open(
                directory: Self.directory,
                fileSystem: fileSystem,
                options: Self.baseOptions,
                hash: { Self.hash($0) },
                sink: { _, _, _, _ in }
            )
            let log = try storage.makeLog()
            var entries: [IndexEntry] = []
            for (index, record) in Self.originals.enumerated() {
                entries += try Self.append(record, count: UInt32(index), to: log)
                if index % 2 == 1 { try log.commit() }
                if index == Self.originals.count / 2 - 1 {
                    try storage.index.apply(
                        entries.sorted { $0.keyID < $1.keyID },
                        position: log.durablePosition,
                        isFinal: true
                    )
                }
            }
            if isClosed { try log.close() }
            let end = Int(log.durablePosition.offset)
            storage.close()
            fileSystem.kill()
            return Base(fileSystem: fileSystem, end: end)
        }
    }

    private static func append(
        _ record: (key: [UInt8], value: [UInt8]),
        count: UInt32,
        to log: SegmentLog
    ) throws -> [IndexEntry] {
        let version = Version(term: .zero, hlc: 1 << 20, writer: 1, count: count)
        let fields = RecordFields(version: version, writtenAt: 1 << 20)
        let location = try record.key.withUnsafeBytes { key in
            try record.value.withUnsafeBytes { try log.append(fields, key: key, value: $0) }
        }
        return location.map { location in
            [
                IndexEntry(
                    keyID: Self.hash(record.key),
                    location: location,
                    version: version,
                    expiresAt: 0,
                    isTombstone: false
                )
            ]
        } ?? []
    }
}
