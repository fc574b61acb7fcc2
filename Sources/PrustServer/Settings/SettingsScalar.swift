/// Reads what stands after `key:` or `-` on a line of a settings file.
enum SettingsScalar {
    struct Fault: Error, Equatable {
        var found: String
        var expected: String
    }

    static func isKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: "."):
            true
        default:
            false
        }
    }

    /// Tabs separate nothing here: in YAML it depends on what stands before them.
    static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") }

    static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var result = text.drop(while: Self.isBlank)
        while let last = result.last, Self.isBlank(last) { result = result.dropLast() }
        return result
    }

    /// The beginning of a text, for an error message.
    static func excerpt(_ text: ArraySlice<UInt8>) -> String {
        let short = String(decoding: Self.trimmed(text), as: UTF8.self)
        return short.count > 40 ? short.prefix(40) + "..." : short
    }

    static func read(_ text: ArraySlice<UInt8>) -> Result<SettingsText.Content, Fault> {
        let value = Self.trimmed(text)
        guard let first = value.first, first != UInt8(ascii: "#") else { return .success(.empty) }
        do {
            switch first {
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                let (scalar, rest) = try Self.quoted(value)
                try Self.checkEnd(rest)
                return .success(.scalar(scalar))
            case UInt8(ascii: "["):
                return .success(.list(try Self.flowList(value)))
            default:
                return .success(try Self.plain(value))
            }
        } catch {
            return .failure(error)
        }
    }

    /// Only a comment may follow a value.
    private static func checkEnd(_ rest: ArraySlice<UInt8>) throws(Fault) {
        let text = Self.trimmed(rest)
        if text.isEmpty { return }
        if text.first == UInt8(ascii: "#"), rest.first.map(Self.isBlank) == true { return }
        throw Fault(
            found: "\"\(Self.excerpt(text))\" after the end of the value",
            expected: "nothing more on the line (quote the whole value)"
        )
    }

    private static func plain(_ value: ArraySlice<UInt8>) throws(Fault) -> SettingsText.Content {
        let text = try Self.plainText(value, isInList: false)
        switch text {
        case "~", "null", "Null", "NULL": return .empty
        default: return .scalar(text)
        }
    }

    private static func plainText(
        _ value: ArraySlice<UInt8>,
        isInList: Bool
    ) throws(Fault) -> String {
        if let first = value.first, let name = Self.refused(first) {
            throw Fault(found: name, expected: "a value; quote it if it begins so")
        }
        var end = value.startIndex
        var previous: UInt8 = 0
        for (index, byte) in zip(value.indices, value) {
            if byte == UInt8(ascii: "#"), Self.isBlank(previous) { break }
            end = index + 1
            if previous == UInt8(ascii: ":"), Self.isBlank(byte) { break }
            previous = byte
        }
        let text = Self.trimmed(value.prefix(upTo: end))
        if text.last == UInt8(ascii: ":") || (end < value.endIndex && previous == 0x3A) {
            throw Fault(found: "a `: ` inside a value", expected: "the value in quotes")
        }
        if let first = text.first, Self.isIndicator(first),
            text.dropFirst().first.map(Self.isBlank) ?? true
        {
            throw Fault(
                found: "a value that begins with \"\(Character(UnicodeScalar(first))) \"",
                expected: "the value in quotes"
            )
        }
        if text.contains(9) {
            throw Fault(found: "a tab", expected: "spaces, or the value in quotes")
        }
        if isInList, !Self.isPlainItem(text) {
            throw Fault(
                found: "\"\(Self.excerpt(text))\" in a list",
                expected: "the item in quotes"
            )
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Whether an item of a list in brackets means the same to every reader of YAML.
    private static func isPlainItem(_ text: ArraySlice<UInt8>) -> Bool {
        guard let first = text.first, !Self.isIndicator(first) else { return false }
        var previous: UInt8 = 0
        for byte in text {
            if previous == UInt8(ascii: ":"), !Self.isKeyByte(byte) { return false }
            if Array("{}?#".utf8).contains(byte) { return false }
            previous = byte
        }
        return !["~", "null", "Null", "NULL"].contains(String(decoding: text, as: UTF8.self))
    }

    private static func isIndicator(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "-") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: ":")
    }

    private static func refused(_ first: UInt8) -> String? {
        switch first {
        case UInt8(ascii: "&"): "an anchor (&)"
        case UInt8(ascii: "*"): "an alias (*)"
        case UInt8(ascii: "!"): "a tag (!)"
        case UInt8(ascii: "|"), UInt8(ascii: ">"): "a value of several lines (| or >)"
        case UInt8(ascii: "{"): "a mapping in braces"
        case UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ","), UInt8(ascii: "%"),
            UInt8(ascii: "@"), UInt8(ascii: "`"):
            "a value that begins with \(Character(UnicodeScalar(first)))"
        default: nil
        }
    }

    private static func flowList(_ value: ArraySlice<UInt8>) throws(Fault) -> [String] {
        var items: [String] = []
        var rest = Self.trimmed(value.dropFirst())
        while true {
            guard let first = rest.first else { throw Self.unclosedList }
            if first == UInt8(ascii: "]") { break }
            if first == UInt8(ascii: "\"") || first == UInt8(ascii: "'") {
                let (item, after) = try Self.quoted(rest)
                items.append(item)
                rest = after.drop(while: Self.isBlank)
            } else {
                let isEnd = { (byte: UInt8) in
                    byte == UInt8(ascii: ",") || byte == UInt8(ascii: "]")
                        || byte == UInt8(ascii: "[")
                }
                let item = rest.prefix { !isEnd($0) }
                let text = try Self.plainText(Self.trimmed(item), isInList: true)
                guard !text.isEmpty, !item.contains(UInt8(ascii: "#")) else {
                    throw Fault(found: "an empty item in a list", expected: "values between commas")
                }
                items.append(text)
                rest = rest.dropFirst(item.count)
            }
            if rest.first == UInt8(ascii: ",") {
                rest = rest.dropFirst().drop(while: Self.isBlank)
            } else if rest.first != UInt8(ascii: "]") {
                throw Self.unclosedList
            }
        }
        try Self.checkEnd(rest.dropFirst())
        return items
    }

    private static let unclosedList = Fault(
        found: "a list that does not end on its line",
        expected: "`[one, two]` on one line, or lines that begin with `- `"
    )

    /// Reads a quoted value and gives what stands behind it.
    private static func quoted(
        _ value: ArraySlice<UInt8>
    ) throws(Fault) -> (String, ArraySlice<UInt8>) {
        let quote = value.first
        var rest = value.dropFirst()
        var result: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == quote {
                guard quote == UInt8(ascii: "'"), rest.first == quote else {
                    return (String(decoding: result, as: UTF8.self), rest)
                }
                rest = rest.dropFirst()
                result.append(byte)
            } else if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                try Self.escape(&rest, into: &result)
            } else {
                result.append(byte)
            }
        }
        throw Fault(found: "a quote that is not closed", expected: "the closing quote on the line")
    }

    private static func escape(
        _ rest: inout ArraySlice<UInt8>,
        into result: inout [UInt8]
    ) throws(Fault) {
        switch rest.popFirst() {
        case UInt8(ascii: "\\"): result.append(UInt8(ascii: "\\"))
        case UInt8(ascii: "\""): result.append(UInt8(ascii: "\""))
        case UInt8(ascii: "/"): result.append(UInt8(ascii: "/"))
        case UInt8(ascii: " "): result.append(UInt8(ascii: " "))
        default:
            throw Fault(
                found: "an escape other than \\\\, \\\" or \\/",
                expected: "one of these, or single quotes around the value"
            )
        }
    }
}
