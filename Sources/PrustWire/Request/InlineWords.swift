/// Splits a line into words with the quoting rules of redis-cli (`sdssplitargs`).
enum InlineWords {
    /// Appends the words' bytes and places; false if quotes are unbalanced.
    static func split(
        _ line: UnsafeRawBufferPointer,
        into bytes: inout [UInt8],
        places: inout [RequestArguments.Place]
    ) -> Bool {
        var index = 0
        while true {
            while index < line.count, Self.isSpace(line[index]) { index += 1 }
            guard index < line.count, line[index] != 0 else { return true }
            let start = bytes.count
            guard Self.word(line, &index, into: &bytes) else { return false }
            places.append(
                .init(offset: UInt32(start), byteCount: UInt32(bytes.count - start))
            )
        }
    }

    private static func word(
        _ line: UnsafeRawBufferPointer,
        _ index: inout Int,
        into bytes: inout [UInt8]
    ) -> Bool {
        while index < line.count, line[index] != 0, !Self.isSpace(line[index]) {
            let byte = line[index]
            index += 1
            if byte == UInt8(ascii: "\"") {
                guard Self.doubleQuoted(line, &index, into: &bytes) else { return false }
                return index >= line.count || line[index] == 0 || Self.isSpace(line[index])
            } else if byte == UInt8(ascii: "'") {
                guard Self.singleQuoted(line, &index, into: &bytes) else { return false }
                return index >= line.count || line[index] == 0 || Self.isSpace(line[index])
            }
            bytes.append(byte)
        }
        return true
    }

    private static func doubleQuoted(
        _ line: UnsafeRawBufferPointer,
        _ index: inout Int,
        into bytes: inout [UInt8]
    ) -> Bool {
        while index < line.count, line[index] != 0 {
            let byte = line[index]
            index += 1
            if byte == UInt8(ascii: "\"") { return true }
            guard byte == UInt8(ascii: "\\"), index < line.count else {
                bytes.append(byte)
                continue
            }
            if line[index] == UInt8(ascii: "x"), index + 2 < line.count,
                let high = Self.digit(line[index + 1]), let low = Self.digit(line[index + 2])
            {
                bytes.append(high << 4 | low)
                index += 3
            } else {
                bytes.append(Self.unescape(line[index]))
                index += 1
            }
        }
        return false
    }

    private static func singleQuoted(
        _ line: UnsafeRawBufferPointer,
        _ index: inout Int,
        into bytes: inout [UInt8]
    ) -> Bool {
        while index < line.count, line[index] != 0 {
            let byte = line[index]
            index += 1
            if byte == UInt8(ascii: "'") { return true }
            if byte == UInt8(ascii: "\\"), index < line.count, line[index] == UInt8(ascii: "'") {
                bytes.append(UInt8(ascii: "'"))
                index += 1
            } else {
                bytes.append(byte)
            }
        }
        return false
    }

    private static func unescape(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "n"): 10
        case UInt8(ascii: "r"): 13
        case UInt8(ascii: "t"): 9
        case UInt8(ascii: "b"): 8
        case UInt8(ascii: "a"): 7
        default: byte
        }
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 32 || (9...13).contains(byte)
    }
}
