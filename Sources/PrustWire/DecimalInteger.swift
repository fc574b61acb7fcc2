/// Signed 64-bit integers as Redis reads and writes them (`string2ll`): no sign but minus, no
/// leading zero, no space.
package enum DecimalInteger {
    /// The number that the bytes spell, or `nil` if they do not, or it does not fit.
    package static func parse(_ bytes: some RandomAccessCollection<UInt8>) -> Int64? {
        guard var byte = bytes.first, bytes.count <= 20 else { return nil }
        var rest = bytes.dropFirst()
        let isNegative = byte == UInt8(ascii: "-")
        if isNegative {
            guard let next = rest.first else { return nil }
            byte = next
            rest = rest.dropFirst()
        }
        if byte == UInt8(ascii: "0") { return rest.isEmpty && !isNegative ? 0 : nil }
        guard (UInt8(ascii: "1")...UInt8(ascii: "9")).contains(byte) else { return nil }
        var magnitude = UInt64(byte - UInt8(ascii: "0"))
        for byte in rest {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            let (scaled, didOverflow) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, didCarry) = scaled.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            guard !didOverflow, !didCarry else { return nil }
            magnitude = sum
        }
        if isNegative {
            return magnitude <= UInt64(Int64.max) + 1
                ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil
        }
        return Int64(exactly: magnitude)
    }

    /// Writes the digits of a number backwards from the end of 20 bytes; returns where they start.
    package static func write(_ value: Int64, into bytes: UnsafeMutableRawBufferPointer) -> Int {
        var index = bytes.count
        var magnitude = value.magnitude
        repeat {
            index -= 1
            bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude % 10)
            magnitude /= 10
        } while magnitude > 0
        if value < 0 {
            index -= 1
            bytes[index] = UInt8(ascii: "-")
        }
        return index
    }
}
