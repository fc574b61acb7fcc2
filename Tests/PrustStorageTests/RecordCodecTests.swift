import PrustCore
import PrustStorage
import Testing

@Suite struct RecordCodecTests {
    static let seed = RecordSeed(storageID: Fixture.storageID, segment: 7)
    static let offset: UInt32 = 8192

    static let header = RecordHeader(
        fields: RecordFields(
            version: Version(
                term: Ballot(epoch: 0x0102_0304, round: 5, index: 6),
                hlc: 0x1122_3344_5566_7788,
                writer: 9,
                count: 10
            ),
            expiresAt: 1_700_000_000_123,
            writtenAt: 0x0A0B_0C0D
        ),
        byteCount: 64 + 3 + 5,
        keyByteCount: 3,
        storedByteCount: 5,
        valueByteCount: 5,
        isCompressed: false,
        isMarker: false,
        groupOffset: 4096
    )

    static func encode(
        _ header: RecordHeader,
        key: [UInt8],
        value: [UInt8],
        offset: UInt32 = Self.offset
    ) -> [UInt8] {
        let byteCount = RecordCodec.paddedByteCount(64 + key.count + value.count)
        var bytes = Array(repeating: UInt8(0), count: 64) + key + value
        bytes += Array(repeating: 0xEE, count: byteCount - bytes.count)
        bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            RecordCodec.seal(
                base,
                header: header,
                seed: Self.seed,
                offset: offset
            )
        }
        return bytes
    }

    static func decode(
        _ bytes: [UInt8],
        offset: UInt32 = Self.offset,
        seed: RecordSeed = Self.seed
    ) -> Result<RecordHeader, RecordError> {
        bytes.withUnsafeBytes { buffer in
            do throws(RecordError) {
                return .success(try RecordCodec.decode(buffer, offset: offset, seed: seed))
            } catch {
                return .failure(error)
            }
        }
    }

    /// These bytes are on disks: they may change only together with the format version.
    @Test func golden() {
        let bytes = Self.encode(Self.header, key: Array("key".utf8), value: Array("value".utf8))
        #expect(Hex.encode(bytes[0..<4]) == "0388e230")
        #expect(Hex.encode(bytes[4..<16]) == "48000000a700030005000000")
        #expect(Hex.encode(bytes[16..<32]) == "7b68e5cf8b0100000d0c0b0a00000000")
        #expect(Hex.encode(bytes[32..<40]) == "8877665544332211")
        #expect(Hex.encode(bytes[40..<64]) == "040302010500000006000000090000000a00000000100000")
        #expect(Hex.encode(bytes[64...]) == "6b657976616c7565")
        #expect(Self.decode(bytes) == .success(Self.header))
    }

    @Test func everyFlippedBitIsFound() {
        let bytes = Self.encode(Self.header, key: Array("key".utf8), value: Array("value".utf8))
        for bit in 0..<Int(Self.header.byteCount) * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(Self.decode(damaged) != .success(Self.header), "bit \(bit)")
            if case .success = Self.decode(damaged) { Issue.record("bit \(bit) is not found") }
        }
    }

    @Test func everyTruncationIsFound() {
        let bytes = Self.encode(Self.header, key: Array("key".utf8), value: Array("value".utf8))
        for count in 0..<Int(Self.header.byteCount) {
            #expect(Self.decode(Array(bytes[..<count])) == .failure(.truncated))
        }
    }

    @Test func aRecordIsValidAtItsPlaceOnly() {
        let bytes = Self.encode(Self.header, key: Array("key".utf8), value: Array("value".utf8))
        let otherSegment = RecordSeed(storageID: Fixture.storageID, segment: 8)
        let otherStorage = RecordSeed(storageID: StorageID(.max), segment: 7)
        #expect(Self.decode(bytes, offset: Self.offset + 8) == .failure(.checksum))
        #expect(Self.decode(bytes, seed: otherSegment) == .failure(.checksum))
        #expect(Self.decode(bytes, seed: otherStorage) == .failure(.checksum))
    }

    static let wrongHeaders: [(name: String, at: Int, bytes: [UInt8], error: RecordError)] = [
        ("magic", 8, [0xA6], .magic),
        ("unknown flag", 9, [8], .flags),
        ("two flags", 9, [3], .flags),
        ("length below the header", 4, [63, 0, 0, 0], .length),
        ("length above the limit", 4, [0xFF, 0xFF, 0xFF, 0xFF], .length),
        ("key longer than the record", 10, [9, 0], .keyLength),
        ("key above the limit", 10, [0x01, 0x10], .keyLength),
        ("value above the limit", 12, [1, 0, 0, 1], .valueLength),
        ("value of another length", 12, [4, 0, 0, 0], .valueLength),
        ("compressed but not shorter", 9, [2], .valueLength),
        ("tombstone with a value", 9, [1], .valueLength),
        ("marker with a value", 9, [4], .length),
        ("group before the segment's start", 60, [0, 0, 0, 0], .group),
        ("group behind the record", 60, [8, 0x20, 0, 0], .group),
        ("group that is not aligned", 60, [1, 0x10, 0, 0], .group),
    ]

    @Test(arguments: wrongHeaders)
    func wrongHeader(name: String, at: Int, bytes: [UInt8], error: RecordError) {
        var record = Self.encode(Self.header, key: Array("key".utf8), value: Array("value".utf8))
        record.replaceSubrange(at..<at + bytes.count, with: bytes)
        #expect(Self.decode(record) == .failure(error))
    }

    @Test func randomBytesNeverTrap() {
        var random = SeededRandom(seed: 5)
        for _ in 0..<20_000 {
            var bytes = Fixture.noise(Int(random.next() % 100), seed: random.next())
            if bytes.count > 10 {
                bytes[8] = RecordCodec.magic
                bytes[9] = UInt8(random.next() % 5)
                if bytes.count > 16, random.next() % 2 == 0 {
                    bytes.replaceSubrange(4..<8, with: [UInt8(random.next() % 100), 0, 0, 0])
                    bytes[11] = 0
                }
            }
            if case .success = Self.decode(bytes) { Issue.record("random bytes were a record") }
        }
    }

    @Test func segmentHeaderRoundTripAndEveryFlippedByte() throws {
        let header = SegmentHeader(
            segment: 3,
            storageID: Fixture.storageID,
            previousByteCount: 0x0102_0304_0506_0708,
            createdAt: 1_700_000_000_000
        )
        let bytes = header.encoded()
        #expect(bytes.count == 4096)
        #expect(Hex.encode(bytes[..<16]) == "50525553545345470100000003000000")
        #expect(try bytes.withUnsafeBytes { try SegmentHeader(decoding: $0) } == header)
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 0x10
            #expect(throws: SegmentHeader.DecodeError.self) {
                try damaged.withUnsafeBytes { try SegmentHeader(decoding: $0) }
            }
        }
    }
}

@Suite struct CompressionTests {
    static func roundTrip(_ value: [UInt8]) throws -> (stored: Int?, same: Bool) {
        let compressor = Compressor(level: 1)
        var target = [UInt8](repeating: 0, count: value.count)
        let count = value.withUnsafeBytes { value in
            target.withUnsafeMutableBytes { compressor.compress(value, into: $0) }
        }
        guard let count else { return (nil, true) }
        var output = [UInt8](repeating: 1, count: value.count)
        try target[..<count].withUnsafeBytes { stored in
            try output.withUnsafeMutableBytes { output in
                try DecompressorPool().decompress(stored, into: output)
            }
        }
        return (count, output == value)
    }

    @Test func textShrinksAndComesBack() throws {
        let text = Array(String(repeating: "a package of Debian, ", count: 40).utf8)
        let result = try Self.roundTrip(text)
        #expect(result.same)
        #expect(try #require(result.stored) < text.count / 4)
    }

    @Test func noiseStaysAsItIs() throws {
        for count in [96, 255, 256, 1000, 100_000] {
            #expect(try Self.roundTrip(Fixture.noise(count, seed: 9)).stored == nil)
        }
    }

    @Test func aFrameMustHaveExactlyThePromisedSize() {
        let value = Array(repeating: UInt8(7), count: 4096)
        var target = [UInt8](repeating: 0, count: value.count)
        let count = value.withUnsafeBytes { value in
            target.withUnsafeMutableBytes { Compressor(level: 1).compress(value, into: $0) }
        }
        let pool = DecompressorPool()
        for size in [0, 1, 4095, 4097] {
            var output = [UInt8](repeating: 0, count: size)
            #expect(throws: RecordError.decompression) {
                try target[..<(count ?? 0)].withUnsafeBytes { stored in
                    try output.withUnsafeMutableBytes { try pool.decompress(stored, into: $0) }
                }
            }
        }
        // Any damage of the frame is an error, never a trap or more bytes than there is room for.
        var output = [UInt8](repeating: 0, count: 4096)
        for index in 0..<(count ?? 0) {
            var damaged = Array(target[..<(count ?? 0)])
            damaged[index] ^= 0x41
            _ = try? damaged.withUnsafeBytes { stored in
                try output.withUnsafeMutableBytes { try pool.decompress(stored, into: $0) }
            }
        }
    }
}
