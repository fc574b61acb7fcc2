import PrustCore

/// Reads the text of a settings file: the part of YAML that settings need, and nothing else.
///
/// Accepted are nested mappings in block style, plain and quoted scalars on one line, lists in
/// block or flow style and comments; what is accepted means what YAML says it means. Anchors,
/// aliases, tags, block scalars, flow mappings and further documents are refused by name. There
/// is no recursion and every line is read once, so hostile text can neither exhaust the stack nor
/// expand; all problems are reported, not only the first.
package struct SettingsText: Sendable {
    package enum Content: Equatable, Sendable {
        /// A key without a value, or with `null`.
        case empty
        /// A key with other keys below it.
        case section
        case scalar(String)
        case list([String])
    }

    package struct Entry: Equatable, Sendable {
        /// Path from the root, joined by points, as in `tls.certificate`.
        package var name: String
        package var line: Int
        package var content: Content
    }

    package struct Problem: Equatable, Sendable {
        package var line: Int
        package var found: String
        package var expected: String
    }

    /// Nested sections; the deepest setting has two.
    package static let depthMax = 8
    /// Keys of one file.
    package static let entryCountMax = 10_000
    package static let problemCountMax = 100
    /// Bytes of one key.
    package static let keyByteCountMax = 128

    private struct Level {
        var indent: Int
        var prefix: String
    }

    private(set) package var entries: [Entry] = []
    private(set) package var problems: [Problem] = []
    private var levels: [Level] = []
    private var lineOfName: [String: Int] = [:]
    /// Indentation of the last key when nothing stood after it, so that children may follow.
    private var openIndent: Int?
    /// Indentation of the items of the list that the last key is gathering.
    private var listIndent: Int?
    /// Lines deeper than this belong to a line that had a problem.
    private var skippedIndent: Int?
    /// Whether `---` was there.
    private var isBegun = false
    /// Whether `...` was there.
    private var isEnded = false
    /// Whether the rest of the text is not worth reading.
    private var isStopped = false

    /// Reads a whole file.
    ///
    /// - Parameter bytes: The file; what is not UTF-8 is a problem of its line.
    package init(bytes: [UInt8]) {
        var rest = bytes[...]
        if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
        var line = 1
        while !rest.isEmpty, !self.isStopped, self.problems.count < Self.problemCountMax {
            let end = rest.firstIndex(of: UInt8(ascii: "\n"))
            var text = rest.prefix(upTo: end ?? rest.endIndex)
            if text.last == UInt8(ascii: "\r") { text = text.dropLast() }
            self.read(text, line: line)
            rest = end.map { rest.suffix(from: $0).dropFirst() } ?? []
            line += 1
        }
    }

    private mutating func read(_ text: ArraySlice<UInt8>, line: Int) {
        guard let string = String(validating: text, as: UTF8.self) else {
            return self.report(line, "bytes that are not UTF-8", "text in UTF-8")
        }
        guard string.unicodeScalars.allSatisfy(Self.isPrintable) else {
            return self.report(line, "a control character", "printable text")
        }
        let content = text.drop { $0 == UInt8(ascii: " ") }
        guard let first = content.first, first != UInt8(ascii: "#") else { return }
        guard content.first != UInt8(ascii: "\t") else {
            return self.report(line, "a tab in the indentation", "spaces")
        }
        guard !self.isEnded else {
            self.isStopped = true
            return self.report(line, "text after the end of the document", "one document")
        }
        let indent = text.count - content.count
        if indent == 0, self.readMarker(content, line: line) { return }
        if let skipped = self.skippedIndent {
            if indent > skipped { return }
            self.skippedIndent = nil
        }
        guard self.entries.count < Self.entryCountMax else {
            self.isStopped = true
            return self.report(line, "more keys", "at most \(Self.entryCountMax) keys")
        }
        if content.elementsEqual("-".utf8) || content.starts(with: "- ".utf8) {
            self.readItem(content.dropFirst(), indent: indent, line: line)
        } else {
            self.readKey(content, indent: indent, line: line)
        }
    }

    /// What YAML allows in a line; its further line breaks are refused, because no editor shows
    /// them as such.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 9, 0x20...0x7E, 0xA0...0x2027, 0x202A...0xFEFE, 0xFF00...0xFFFD, 0x1_0000...: true
        default: false
        }
    }

    /// Reads `---` and `...`; `true` when the line was one of them.
    private mutating func readMarker(_ content: ArraySlice<UInt8>, line: Int) -> Bool {
        let word = SettingsScalar.trimmed(content)
        if word.elementsEqual("---".utf8) {
            if self.isBegun || !self.entries.isEmpty {
                self.isStopped = true
                self.report(line, "a second document", "one document")
            }
            self.isBegun = true
            return true
        }
        if word.elementsEqual("...".utf8) {
            self.isEnded = true
            return true
        }
        if content.first == UInt8(ascii: "%") {
            self.report(line, "a YAML directive", "`key: value`")
            return true
        }
        return false
    }

    private mutating func readItem(_ text: ArraySlice<UInt8>, indent: Int, line: Int) {
        guard let open = self.openIndent, indent >= open, let last = self.entries.indices.last,
            self.listIndent == nil || self.listIndent == indent
        else {
            self.skippedIndent = indent
            return self.report(line, "a list item", "`key: value`")
        }
        switch SettingsScalar.read(text) {
        case .success(.scalar(let item)):
            self.listIndent = indent
            var items: [String] = []
            if case .list(let earlier) = self.entries[last].content { items = earlier }
            items.append(item)
            self.entries[last].content = .list(items)
        case .success:
            self.report(line, "a list item that is not one value", "one value after `- `")
        case .failure(let fault):
            self.report(line, fault.found, fault.expected)
        }
    }

    private mutating func readKey(_ content: ArraySlice<UInt8>, indent: Int, line: Int) {
        self.skippedIndent = indent
        let key = content.prefix(while: SettingsScalar.isKeyByte)
        let rest = content.dropFirst(key.count)
        guard (1...Self.keyByteCountMax).contains(key.count), rest.first == UInt8(ascii: ":"),
            rest.dropFirst().first.map({ $0 == UInt8(ascii: " ") }) ?? true
        else {
            let text = SettingsScalar.excerpt(content)
            return self.report(line, "\"\(text)\"", "`key: value` or a `key:` with lines under it")
        }
        guard self.enter(indent: indent, line: line) else { return }
        let prefix = self.levels.last?.prefix ?? ""
        let name = prefix + String(decoding: key, as: UTF8.self)
        guard self.lineOfName[name] == nil else {
            let first = self.lineOfName[name] ?? 0
            return self.report(line, "\(name) a second time", "it once (line \(first) has it)")
        }
        self.lineOfName[name] = line
        switch SettingsScalar.read(rest.dropFirst()) {
        case .success(let content):
            self.skippedIndent = nil
            self.listIndent = nil
            self.openIndent = content == .empty ? indent : nil
            self.entries.append(Entry(name: name, line: line, content: content))
        case .failure(let fault):
            self.report(line, "\(name): \(fault.found)", fault.expected)
        }
    }

    /// Finds the section that a key of this indentation belongs to.
    private mutating func enter(indent: Int, line: Int) -> Bool {
        guard let top = self.levels.last else {
            self.levels.append(Level(indent: indent, prefix: ""))
            return true
        }
        if indent > top.indent {
            guard let open = self.openIndent, open == top.indent, self.listIndent == nil,
                let last = self.entries.indices.last
            else {
                self.report(line, "a line indented deeper than its section", "no deeper line here")
                return false
            }
            guard self.levels.count < Self.depthMax else {
                self.report(line, "deeper nesting", "at most \(Self.depthMax) levels")
                return false
            }
            self.entries[last].content = .section
            self.levels.append(Level(indent: indent, prefix: self.entries[last].name + "."))
            return true
        }
        while let level = self.levels.last, level.indent > indent { self.levels.removeLast() }
        guard self.levels.last?.indent == indent else {
            // The section of these lines is unknown; the next one at a known column is read again.
            if self.levels.isEmpty { self.levels.append(top) }
            self.report(line, "an indentation of \(indent)", "that of one of the lines above")
            return false
        }
        return true
    }

    private mutating func report(_ line: Int, _ found: String, _ expected: String) {
        guard self.problems.count < Self.problemCountMax else { return }
        self.problems.append(
            Problem(line: line, found: found.printable, expected: expected.printable)
        )
    }
}
