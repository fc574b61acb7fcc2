import CChecksum
import PrustCore
import PrustStorage

/// Records and segment headers as bytes, and what is compressed in them.
///
/// Properties: a record that decodes is written again as the same bytes, is not a record at
/// another offset or in another segment, and is truncated when a byte is missing; nothing but its
/// checksum keeps well-formed bytes from decoding; compression gives the value back, and what was
/// never compressed gives an error or a value of the promised length.
package func fuzzRecord(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    switch input.byte() % 5 {
    case 0: RecordCheck.run(&input, fixesChecksum: false)
    case 1: RecordCheck.run(&input, fixesChecksum: true)
    case 2: SegmentHeaderCheck.run(&input)
    case 3: CompressionCheck.decompress(&input)
    default: CompressionCheck.roundTrip(&input)
    }
}

/// The checksum of a record, computed apart from the code under test.
struct RecordChecksum {
    private let prefix: UInt32

    init(storageID: StorageID, segment: UInt32) {
        let bytes = storageID.identifier.bytes + Self.bytes(segment)
        self.prefix = prust_crc32c(0, bytes, bytes.count)
    }

    func value(of record: some Collection<UInt8>, at offset: UInt32) -> UInt32 {
        let start = prust_crc32c(self.prefix, Self.bytes(offset), 4)
        let body = Array(record.dropFirst(4))
        return prust_crc32c(start, body, body.count)
    }

    static func bytes(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }
}

private enum RecordCheck {
    static let storageID = StorageID(Identifier256(word0: 1, word1: 2, word2: 3, word3: 4))
    static let segment: UInt32 = 7
    static let seed = RecordSeed(storageID: Self.storageID, segment: Self.segment)
    static let checksum = RecordChecksum(storageID: Self.storageID, segment: Self.segment)

    static func run(_ input: inout FuzzInput, fixesChecksum: Bool) {
        let offset = input.byte() & 1 == 0 ? 4096 + UInt32(input.short()) * 8 : input.word()
        var bytes = input.rest()
        if fixesChecksum { Self.fix(&bytes, offset: offset) }
        withExactCopy(bytes) { buffer in
            Self.decode(UnsafeRawBufferPointer(buffer), offset: offset, isFixed: fixesChecksum)
        }
    }

    /// Puts the right checksum and, for most inputs, the right length and magic number in place.
    private static func fix(_ bytes: inout [UInt8], offset: UInt32) {
        guard bytes.count >= RecordCodec.headerByteCount else { return }
        if bytes[0] & 1 == 0 {
            bytes.replaceSubrange(4..<8, with: RecordChecksum.bytes(UInt32(bytes.count)))
            bytes[8] = RecordCodec.magic
        }
        let byteCount = (4..<8).reversed().reduce(0) { $0 << 8 | Int(bytes[$1]) }
        guard byteCount >= 4, byteCount <= bytes.count else { return }
        let value = Self.checksum.value(of: bytes.prefix(byteCount), at: offset)
        bytes.replaceSubrange(0..<4, with: RecordChecksum.bytes(value))
    }

    private static func decode(_ bytes: UnsafeRawBufferPointer, offset: UInt32, isFixed: Bool) {
        let fixed = try? RecordCodec.header(of: bytes, offset: offset)
        do throws(RecordError) {
            let header = try RecordCodec.decode(bytes, offset: offset, seed: Self.seed)
            check(header == fixed, "\(header) against \(String(describing: fixed))")
            Self.checkParts(bytes, header, offset: offset)
        } catch {
            guard let fixed else { return }
            let isWhole = Int(fixed.byteCount) <= bytes.count
            check(error == (isWhole ? .checksum : .truncated), "\(error) of a good header")
            check(!isWhole || !isFixed, "the checksum differs from the one of the format")
        }
    }

    private static func checkParts(
        _ bytes: UnsafeRawBufferPointer,
        _ header: RecordHeader,
        offset: UInt32
    ) {
        let byteCount = Int(header.byteCount)
        let key = RecordCodec.key(in: bytes, header)
        let value = RecordCodec.storedValue(in: bytes, header)
        check(byteCount <= bytes.count, "\(byteCount) of \(bytes.count)")
        check(RecordCodec.headerByteCount + key.count + value.count == byteCount, "parts")

        let padded = RecordCodec.paddedByteCount(byteCount)
        check(padded >= byteCount && padded < byteCount + RecordCodec.alignment, "padding")
        let record = Array(bytes.prefix(byteCount))
        withExactCopy(record + Array(repeating: 0xFF, count: padded - byteCount)) { copy in
            if let base = copy.baseAddress {
                for index in 0..<RecordCodec.headerByteCount { copy[index] = 0xFF }
                RecordCodec.seal(base, header: header, seed: Self.seed, offset: offset)
            }
            check(copy.prefix(byteCount).elementsEqual(record), "written again it differs")
            check(copy.dropFirst(byteCount).allSatisfy { $0 == 0 }, "padding is not zero")
        }
        let other = RecordSeed(storageID: Self.storageID, segment: Self.segment + 1)
        let elsewhere = try? RecordCodec.decode(bytes, offset: offset, seed: other)
        check(elsewhere == nil, "valid in another segment")
        let moved = try? RecordCodec.decode(bytes, offset: offset &+ 8, seed: Self.seed)
        check(moved == nil, "valid at another offset")
        let short = UnsafeRawBufferPointer(rebasing: bytes.prefix(byteCount - 1))
        check((try? RecordCodec.decode(short, offset: offset, seed: Self.seed)) == nil, "short")
        if header.isCompressed, header.valueByteCount <= 1 << 20 {
            CompressionCheck.decompress(Array(value), byteCount: header.valueByteCount)
        }
    }
}

private enum SegmentHeaderCheck {
    static func run(_ input: inout FuzzInput) {
        let flags = input.byte()
        var bytes = input.rest()
        let full = Int(SegmentHeader.byteCount)
        if flags & 1 == 0 { bytes = Array((bytes + Array(repeating: 0, count: full)).prefix(full)) }
        if flags & 2 == 0, bytes.count >= full {
            bytes.replaceSubrange(0..<8, with: "PRUSTSEG".utf8)
            let checksum = prust_crc32c(0, bytes, full - 4)
            bytes.replaceSubrange(full - 4..<full, with: RecordChecksum.bytes(checksum))
        }
        do throws(SegmentHeader.DecodeError) {
            let header = try Self.decode(bytes)
            let encoded = header.encoded()
            check(encoded.count == full, "\(encoded.count) bytes")
            let again = try Self.decode(encoded)
            check(again == header, "\(again) from \(header)")
        } catch {
            check(flags & 3 != 0 || error != .damaged, "a good header is damaged")
        }
    }

    private static func decode(_ bytes: [UInt8]) throws(SegmentHeader.DecodeError) -> SegmentHeader
    {
        let result = withExactCopy(bytes) {
            buffer -> Result<SegmentHeader, SegmentHeader.DecodeError> in
            do throws(SegmentHeader.DecodeError) {
                return .success(try SegmentHeader(decoding: UnsafeRawBufferPointer(buffer)))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

private enum CompressionCheck {
    static func decompress(_ input: inout FuzzInput) {
        let byteCount = Int(input.word() & 0xFFFFF)
        Self.decompress(input.rest(), byteCount: byteCount)
    }

    static func decompress(_ stored: [UInt8], byteCount: Int) {
        let decompressor = DecompressorPool()
        withExactCopy(stored) { stored in
            withExactCopy(repeatElement(0xA5, count: byteCount)) { target in
                do throws(RecordError) {
                    try decompressor.decompress(UnsafeRawBufferPointer(stored), into: target)
                } catch {
                    check(error == .decompression, "\(error)")
                }
            }
        }
    }

    static func roundTrip(_ input: inout FuzzInput) {
        let level = Int32(input.byte() % 5)
        // Without repetition hardly any input is worth compressing.
        let repetitions = 1 + Int(input.byte())
        let value = Array(repeatElement(input.take(4096), count: repetitions).joined())
        let compressor = Compressor(level: level)
        let decompressor = DecompressorPool()
        withExactCopy(value) { source in
            let source = UnsafeRawBufferPointer(source)
            withExactCopy(repeatElement(0, count: value.count)) { target in
                guard let count = compressor.compress(source, into: target) else { return }
                check(count > 0 && count <= value.count - Compressor.savingMin, "\(count) bytes")
                let stored = UnsafeRawBufferPointer(rebasing: target.prefix(count))
                withExactCopy(repeatElement(0, count: value.count)) { result in
                    succeed("decompression of what was compressed") {
                        try decompressor.decompress(stored, into: result)
                    }
                    check(result.elementsEqual(value), "another value comes back")
                }
            }
        }
    }
}
