package import NIOCore

/// Writes RESP replies, in version 2 or 3 where they differ.
extension ByteBuffer {
    /// Bytes of a header line: a type, up to 20 digits, CR LF.
    private static let headerByteCountMax = 24

    package mutating func writeReplySimple(_ text: StaticString) {
        self.writeStaticString("+")
        self.writeStaticString(text)
        self.writeStaticString("\r\n")
    }

    /// Writes an error; line ends inside become spaces, as in Redis.
    package mutating func writeReplyError(_ text: String) {
        self.writeReplyError(text.utf8)
    }

    /// The same for bytes that need not be text, such as what a client sent.
    package mutating func writeReplyError(_ bytes: some Sequence<UInt8>) {
        self.writeStaticString("-")
        for byte in bytes {
            let isLineEnd = byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\n")
            self.writeInteger(isLineEnd ? UInt8(ascii: " ") : byte)
        }
        self.writeStaticString("\r\n")
    }

    package mutating func writeReplyInteger(_ value: Int64) {
        self.writeHeader(UInt8(ascii: ":"), value)
    }

    package mutating func writeReplyArray(count: Int) {
        self.writeHeader(UInt8(ascii: "*"), Int64(count))
    }

    /// Begins a map of `count` pairs; in RESP2 that is a flat array.
    package mutating func writeReplyMap(count: Int, version: RESPVersion) {
        switch version {
        case .resp2: self.writeHeader(UInt8(ascii: "*"), Int64(count * 2))
        case .resp3: self.writeHeader(UInt8(ascii: "%"), Int64(count))
        }
    }

    package mutating func writeReplySet(count: Int, version: RESPVersion) {
        let type = version == .resp2 ? UInt8(ascii: "*") : UInt8(ascii: "~")
        self.writeHeader(type, Int64(count))
    }

    package mutating func writeReplyNull(version: RESPVersion) {
        switch version {
        case .resp2: self.writeStaticString("$-1\r\n")
        case .resp3: self.writeStaticString("_\r\n")
        }
    }

    package mutating func writeReplyNullArray(version: RESPVersion) {
        switch version {
        case .resp2: self.writeStaticString("*-1\r\n")
        case .resp3: self.writeStaticString("_\r\n")
        }
    }

    package mutating func writeReplyBulk(_ text: String) {
        self.writeHeader(UInt8(ascii: "$"), Int64(text.utf8.count))
        self.writeString(text)
        self.writeStaticString("\r\n")
    }

    /// Writes text that a person reads: a verbatim string in RESP3, a bulk string in RESP2.
    package mutating func writeReplyVerbatim(_ text: String, version: RESPVersion) {
        guard version == .resp3 else { return self.writeReplyBulk(text) }
        self.writeHeader(UInt8(ascii: "="), Int64(text.utf8.count + 4))
        self.writeStaticString("txt:")
        self.writeString(text)
        self.writeStaticString("\r\n")
    }

    package mutating func writeReplyBulk(_ bytes: UnsafeRawBufferPointer) {
        let needed = bytes.count + Self.headerByteCountMax + 2
        self.writeWithUnsafeMutableBytes(minimumWritableBytes: needed) { target in
            var end = Self.header(UInt8(ascii: "$"), Int64(bytes.count), into: target)
            if let source = bytes.baseAddress, let start = target.baseAddress {
                (start + end).copyMemory(from: source, byteCount: bytes.count)
            }
            end += bytes.count
            target[end] = UInt8(ascii: "\r")
            target[end + 1] = UInt8(ascii: "\n")
            return end + 2
        }
    }

    private mutating func writeHeader(_ type: UInt8, _ value: Int64) {
        self.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.headerByteCountMax) {
            Self.header(type, value, into: $0)
        }
    }

    private static func header(
        _ type: UInt8,
        _ value: Int64,
        into target: UnsafeMutableRawBufferPointer
    ) -> Int {
        target[0] = type
        return withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
            let start = DecimalInteger.write(value, into: digits)
            var end = 1
            for index in start..<20 {
                target[end] = digits[index]
                end += 1
            }
            target[end] = UInt8(ascii: "\r")
            target[end + 1] = UInt8(ascii: "\n")
            return end + 2
        }
    }
}

/// The version of the protocol that a connection speaks, chosen by HELLO.
package enum RESPVersion: Int, Sendable {
    case resp2 = 2
    case resp3 = 3
}
