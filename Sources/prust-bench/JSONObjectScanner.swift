/// Finds fields of a JSON object without building it, by RFC 8259.
///
/// The whole text is checked, so that a file that is no JSON is told at its first bad line. Nesting
/// is bounded, because the scanner calls itself for each level.
struct JSONObjectScanner {
    struct Failure: Error, Hashable {
        let problem: String
    }

    private static let depthMax = 128

    private let text: ArraySlice<UInt8>
    private var index: Int

    private init(_ text: ArraySlice<UInt8>) {
        self.text = text
        self.index = text.startIndex
    }

    /// The values of fields of the top level: the text of a string, or the digits of a number.
    ///
    /// - Parameters:
    ///   - names: The fields' names.
    ///   - text: One JSON object with nothing but blanks around it.
    /// - Returns: A value for each name, `nil` where the object has no string or number of that
    ///   name; of a name that comes twice, the last one.
    /// - Throws: What is wrong with the text.
    static func values(
        of names: [[UInt8]],
        in text: ArraySlice<UInt8>
    ) throws(Failure) -> [[UInt8]?] {
        var scanner = Self(text)
        var values = [[UInt8]?](repeating: nil, count: names.count)
        scanner.skipBlanks()
        try scanner.expect(UInt8(ascii: "{"))
        try scanner.members { (scanner: inout Self, name) throws(Failure) in
            let value = try scanner.value(depth: 1)
            for index in names.indices where names[index] == name { values[index] = value }
        }
        scanner.skipBlanks()
        guard scanner.index == text.endIndex else { throw Failure(problem: "bytes behind it") }
        return values
    }

    private var current: UInt8? {
        self.index < self.text.endIndex ? self.text[self.index] : nil
    }

    private mutating func skipBlanks() {
        while let byte = self.current, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
        {
            self.index += 1
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard self.current == byte else { return false }
        self.index += 1
        return true
    }

    private mutating func expect(_ byte: UInt8) throws(Failure) {
        guard self.take(byte) else {
            let letter = Character(UnicodeScalar(byte))
            let column = self.index - self.text.startIndex + 1
            throw Failure(problem: "'\(letter)' expected at column \(column)")
        }
    }

    /// The members of an object whose brace was read; `body` reads each value.
    private mutating func members(
        _ body: (inout Self, [UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        self.skipBlanks()
        if self.take(UInt8(ascii: "}")) { return }
        while true {
            self.skipBlanks()
            try self.expect(UInt8(ascii: "\""))
            let name = try self.string()
            self.skipBlanks()
            try self.expect(UInt8(ascii: ":"))
            try body(&self, name)
            self.skipBlanks()
            if self.take(UInt8(ascii: "}")) { return }
            try self.expect(UInt8(ascii: ","))
        }
    }

    /// Reads any value; gives its bytes if it is a string or a number.
    private mutating func value(depth: Int) throws(Failure) -> [UInt8]? {
        guard depth < Self.depthMax else { throw Failure(problem: "nested too deep") }
        self.skipBlanks()
        switch self.current {
        case UInt8(ascii: "\""):
            self.index += 1
            return try self.string()
        case UInt8(ascii: "{"):
            self.index += 1
            try self.members { (scanner: inout Self, _) throws(Failure) in
                _ = try scanner.value(depth: depth + 1)
            }
        case UInt8(ascii: "["):
            self.index += 1
            try self.elements(depth: depth)
        case UInt8(ascii: "t"): try self.word("true")
        case UInt8(ascii: "f"): try self.word("false")
        case UInt8(ascii: "n"): try self.word("null")
        default: return try self.number()
        }
        return nil
    }

    private mutating func elements(depth: Int) throws(Failure) {
        self.skipBlanks()
        if self.take(UInt8(ascii: "]")) { return }
        while true {
            _ = try self.value(depth: depth + 1)
            self.skipBlanks()
            if self.take(UInt8(ascii: "]")) { return }
            try self.expect(UInt8(ascii: ","))
        }
    }

    private mutating func word(_ word: StaticString) throws(Failure) {
        for byte in word.description.utf8 { try self.expect(byte) }
    }

    private mutating func number() throws(Failure) -> [UInt8] {
        let start = self.index
        _ = self.take(UInt8(ascii: "-"))
        if !self.take(UInt8(ascii: "0")) { try self.digits() }
        if self.take(UInt8(ascii: ".")) { try self.digits() }
        if self.take(UInt8(ascii: "e")) || self.take(UInt8(ascii: "E")) {
            if !self.take(UInt8(ascii: "+")) { _ = self.take(UInt8(ascii: "-")) }
            try self.digits()
        }
        return Array(self.text[start..<self.index])
    }

    private mutating func digits() throws(Failure) {
        let start = self.index
        while let byte = self.current, (0x30...0x39).contains(byte) { self.index += 1 }
        guard self.index > start else {
            let column = self.index - self.text.startIndex + 1
            throw Failure(problem: "a value expected at column \(column)")
        }
    }

    /// Reads a string whose first quote was read.
    private mutating func string() throws(Failure) -> [UInt8] {
        var result: [UInt8] = []
        while let byte = self.current {
            self.index += 1
            switch byte {
            case UInt8(ascii: "\""): return result
            case UInt8(ascii: "\\"): try self.escape(into: &result)
            case 0..<0x20: throw Failure(problem: "a control character in a string")
            default: result.append(byte)
            }
        }
        throw Failure(problem: "a string does not end")
    }

    private mutating func escape(into result: inout [UInt8]) throws(Failure) {
        guard let letter = self.current else { throw Failure(problem: "a string does not end") }
        self.index += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(letter)
        case UInt8(ascii: "b"): result.append(0x08)
        case UInt8(ascii: "f"): result.append(0x0C)
        case UInt8(ascii: "n"): result.append(0x0A)
        case UInt8(ascii: "r"): result.append(0x0D)
        case UInt8(ascii: "t"): result.append(0x09)
        case UInt8(ascii: "u"): result.append(contentsOf: try self.unicodeEscape())
        default: throw Failure(problem: "an unknown escape in a string")
        }
    }

    private mutating func unicodeEscape() throws(Failure) -> [UInt8] {
        var code = try self.hexadecimal()
        if (0xD800...0xDBFF).contains(code), self.take(UInt8(ascii: "\\")) {
            try self.expect(UInt8(ascii: "u"))
            let low = try self.hexadecimal()
            guard (0xDC00...0xDFFF).contains(low) else {
                throw Failure(problem: "half a surrogate pair in a string")
            }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = UnicodeScalar(code) else {
            throw Failure(problem: "half a surrogate pair in a string")
        }
        return Array(String(Character(scalar)).utf8)
    }

    private mutating func hexadecimal() throws(Failure) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = self.current,
                let digit = Character(UnicodeScalar(byte)).hexDigitValue, byte < 0x80
            else { throw Failure(problem: "a bad escape in a string") }
            self.index += 1
            code = code << 4 | UInt32(digit)
        }
        return code
    }
}
