internal import CChecksum

/// CRC-32C (RFC 3720), by the processor's instruction where there is one.
package enum Checksum {
    package static var isHardware: Bool { prust_crc32c_is_hardware() != 0 }

    /// The checksum of some bytes, going on from that of the bytes before them.
    package static func crc32c(_ bytes: UnsafeRawBufferPointer, after crc: UInt32 = 0) -> UInt32 {
        prust_crc32c(crc, bytes.baseAddress, bytes.count)
    }

    /// The same without the instruction, to compare with.
    package static func crc32cSoftware(
        _ bytes: UnsafeRawBufferPointer,
        after crc: UInt32 = 0
    ) -> UInt32 {
        prust_crc32c_software(crc, bytes.baseAddress, bytes.count)
    }
}
