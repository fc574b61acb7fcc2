package import NIOCore

/// Writes commands as arrays of byte strings, the one form that every RESP server reads.
///
/// A command is `begin` and then exactly as many arguments as it announced. Nothing is allocated
/// but the room in the buffer.
package enum RESPCommandEncoder {
    /// Begins a command.
    ///
    /// - Parameters:
    ///   - argumentCount: Arguments that follow, the command's name included; at least 1.
    ///   - buffer: Where the command goes.
    @inlinable
    package static func begin(argumentCount: Int, into buffer: inout ByteBuffer) {
        precondition(argumentCount > 0, "a command has a name")
        Self.writeHeader(UInt8(ascii: "*"), UInt64(argumentCount), into: &buffer)
    }

    /// Writes one argument of any bytes.
    @inlinable
    package static func argument(_ bytes: some Collection<UInt8>, into buffer: inout ByteBuffer) {
        let count = bytes.count
        Self.writeHeader(UInt8(ascii: "$"), UInt64(count), into: &buffer)
        let written = buffer.writeBytes(bytes)
        precondition(written == count, "a collection of \(count) bytes gave \(written)")
        buffer.writeInteger(Self.lineEnd)
    }

    /// Writes one argument that is a word of the protocol.
    @inlinable
    package static func argument(_ word: StaticString, into buffer: inout ByteBuffer) {
        Self.writeHeader(UInt8(ascii: "$"), UInt64(word.utf8CodeUnitCount), into: &buffer)
        buffer.writeStaticString(word)
        buffer.writeInteger(Self.lineEnd)
    }

    /// Writes one argument that is a slice of a buffer, without reading it from there.
    @inlinable
    package static func argument(_ bytes: ByteBuffer, into buffer: inout ByteBuffer) {
        Self.writeHeader(UInt8(ascii: "$"), UInt64(bytes.readableBytes), into: &buffer)
        buffer.writeImmutableBuffer(bytes)
        buffer.writeInteger(Self.lineEnd)
    }

    /// Writes one argument that is a decimal number.
    @inlinable
    package static func argument(_ number: Int64, into buffer: inout ByteBuffer) {
        let digits = Self.digitCount(number.magnitude)
        let byteCount = number < 0 ? digits + 1 : digits
        Self.writeHeader(UInt8(ascii: "$"), UInt64(byteCount), into: &buffer)
        if number < 0 { buffer.writeInteger(UInt8(ascii: "-")) }
        Self.writeDecimal(number.magnitude, digitCount: digits, into: &buffer)
        buffer.writeInteger(Self.lineEnd)
    }

    @usableFromInline
    static var lineEnd: UInt16 { 0x0D0A }

    @usableFromInline
    static func writeHeader(_ type: UInt8, _ number: UInt64, into buffer: inout ByteBuffer) {
        buffer.writeInteger(type)
        Self.writeDecimal(number, digitCount: Self.digitCount(number), into: &buffer)
        buffer.writeInteger(Self.lineEnd)
    }

    @usableFromInline
    static func digitCount(_ number: UInt64) -> Int {
        var rest = number
        var count = 1
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        return count
    }

    @usableFromInline
    static func writeDecimal(_ number: UInt64, digitCount: Int, into buffer: inout ByteBuffer) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: digitCount) { bytes in
            var rest = number
            for index in (0..<digitCount).reversed() {
                bytes[index] = UInt8(truncatingIfNeeded: rest % 10) + 0x30
                rest /= 10
            }
            return digitCount
        }
    }
}
