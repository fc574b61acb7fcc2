import PrustCore
import PrustStorage
import Testing

@Suite struct ChecksumTests {
    /// RFC 3720, appendix B.4.
    static let vectors: [(bytes: [UInt8], checksum: UInt32)] = [
        ([], 0),
        (Array(repeating: 0, count: 32), 0x8A91_36AA),
        (Array(repeating: 0xFF, count: 32), 0x62A8_AB43),
        (Array(0..<32), 0x46DD_794E),
        (Array((0..<32).reversed()), 0x113F_DB5C),
        (
            [
                0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
                0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
            ], 0xD996_3A56
        ),
        (Array("123456789".utf8), 0xE306_9283),
    ]

    @Test(arguments: vectors)
    func vector(bytes: [UInt8], checksum: UInt32) {
        #expect(bytes.withUnsafeBytes { Checksum.crc32c($0) } == checksum)
        #expect(bytes.withUnsafeBytes { Checksum.crc32cSoftware($0) } == checksum)
    }

    @Test func hardwareAndSoftwareAgreeAtEveryLengthAndSplit() {
        let bytes = Fixture.noise(300, seed: 3)
        bytes.withUnsafeBytes { buffer in
            for start in 0..<9 {
                for end in start..<min(300, start + 140) {
                    let piece = UnsafeRawBufferPointer(rebasing: buffer[start..<end])
                    let whole = Checksum.crc32c(piece)
                    #expect(whole == Checksum.crc32cSoftware(piece))
                    let middle = piece.count / 3
                    let first = Checksum.crc32c(UnsafeRawBufferPointer(rebasing: piece[..<middle]))
                    let rest = UnsafeRawBufferPointer(rebasing: piece[middle...])
                    #expect(Checksum.crc32c(rest, after: first) == whole)
                    #expect(Checksum.crc32cSoftware(rest, after: first) == whole)
                }
            }
        }
    }
}
