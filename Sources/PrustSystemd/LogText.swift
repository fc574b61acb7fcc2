package import Logging

/// Text as it may stand in one line of a log, whoever chose it.
package enum LogText {
    /// Replaces control characters, line separators and direction marks by escapes.
    ///
    /// Otherwise a peer's text could begin a line of its own, colour a terminal or turn the order of
    /// what is read.
    package static func escape(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: Self.isUnsafe) else { return text }
        var result = ""
        for scalar in text.unicodeScalars { Self.append(scalar, to: &result) }
        return result
    }

    private static func append(_ scalar: Unicode.Scalar, to result: inout String) {
        switch scalar {
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case _ where Self.isUnsafe(scalar):
            result += "\\u{" + String(scalar.value, radix: 16) + "}"
        default: result.unicodeScalars.append(scalar)
        }
    }

    /// Replaces what ``escape(_:)`` would escape by one character each.
    package static func blank(_ text: String, instead: Unicode.Scalar) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            result.unicodeScalars.append(Self.isUnsafe(scalar) ? instead : scalar)
        }
        return result
    }

    /// Cuts a text to a number of bytes, at a character's border, and marks the cut.
    package static func cut(_ text: String, byteCountMax: Int) -> String {
        guard text.utf8.count > byteCountMax else { return text }
        let mark = "..."
        var count = mark.utf8.count
        var end = text.unicodeScalars.startIndex
        while end < text.unicodeScalars.endIndex {
            count += UTF8.width(text.unicodeScalars[end])
            if count > byteCountMax { break }
            end = text.unicodeScalars.index(after: end)
        }
        return String(text.unicodeScalars[..<end]) + mark
    }

    /// Facts as ` key=value` each, sorted by key; values with spaces or quotes are quoted.
    package static func facts(_ metadata: Logger.Metadata) -> String {
        var result = ""
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            let text = Self.cut("\(value)", byteCountMax: Self.valueByteCountMax)
            result += " \(Self.escape(key))=\(Self.quote(text))"
        }
        return result
    }

    /// Bytes of one fact's value.
    package static let valueByteCountMax = 1024

    private static func quote(_ text: String) -> String {
        let escaped = Self.escape(text)
        let isPlain =
            !text.isEmpty && escaped.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x3D }
        guard !isPlain else { return escaped }
        var result = "\""
        for scalar in text.unicodeScalars {
            // A backslash too: it must not make the quote behind it one that ends the value.
            if scalar == "\"" || scalar == "\\" { result += "\\" }
            Self.append(scalar, to: &result)
        }
        return result + "\""
    }

    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0: true
        // Line and paragraph separator; marks, embeddings and isolates of direction.
        case 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
