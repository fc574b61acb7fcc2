import PrustCore
import Testing

@testable import PrustServer

@Suite struct SettingsTextTests {
    typealias Content = SettingsText.Content

    static let values: [(text: String, content: Content)] = [
        ("a: 1", .scalar("1")),
        ("a:   text with blanks   ", .scalar("text with blanks")),
        ("a: 1 # comment", .scalar("1")),
        ("a: 1# no comment", .scalar("1# no comment")),
        ("a:", .empty),
        ("a: # comment", .empty),
        ("a: ~", .empty),
        ("a: null", .empty),
        ("a: 'null'", .scalar("null")),
        ("a: 'it''s # text'", .scalar("it's # text")),
        ("a: \"x \\\\ \\\" y\" # c", .scalar("x \\ \" y")),
        ("a: \"[::1]:8000\"", .scalar("[::1]:8000")),
        ("a: 127.0.0.1:8000", .scalar("127.0.0.1:8000")),
        ("a: -1", .scalar("-1")),
        ("a: 'x\ty' # \t", .scalar("x\ty")),
        ("a: \u{e9}\u{1F600}", .scalar("\u{e9}\u{1F600}")),
        ("a: [x:1, db1:8000]", .list(["x:1", "db1:8000"])),
        ("a: []", .list([])),
        ("a: [x]", .list(["x"])),
        ("a: [x, \"y, z\" , 'w']  # c", .list(["x", "y, z", "w"])),
        ("a: [x, ]", .list(["x"])),
        ("a:\n- x\n- 'y'", .list(["x", "y"])),
        ("a:\n  - x\n  # c\n  - y", .list(["x", "y"])),
        ("---\na: 1\n...\n", .scalar("1")),
        ("\u{FEFF}a: 1\r\n", .scalar("1")),
    ]

    @Test(arguments: values)
    func value(text: String, content: Content) {
        let read = SettingsText(bytes: Array(text.utf8))
        #expect(read.problems == [])
        #expect(read.entries.map(\.content) == [content])
    }

    @Test func nesting() {
        let text = """
            # comment
            top: 1
            one:
              two:
                  three: x
                  four: y
              five: z
            last.with.points: v

            """
        let read = SettingsText(bytes: Array(text.utf8))
        #expect(read.problems == [])
        #expect(
            read.entries == [
                .init(name: "top", line: 2, content: .scalar("1")),
                .init(name: "one", line: 3, content: .section),
                .init(name: "one.two", line: 4, content: .section),
                .init(name: "one.two.three", line: 5, content: .scalar("x")),
                .init(name: "one.two.four", line: 6, content: .scalar("y")),
                .init(name: "one.five", line: 7, content: .scalar("z")),
                .init(name: "last.with.points", line: 8, content: .scalar("v")),
            ]
        )
    }

    static let bad: [(text: String, lines: [Int])] = [
        ("a", [1]),
        ("a b: 1", [1]),
        (": 1", [1]),
        ("a:1", [1]),
        ("\"a\": 1", [1]),
        ("? a", [1]),
        ("\ta: 1", [1]),
        ("a: &x 1", [1]),
        ("a: *x", [1]),
        ("a: !!str 1", [1]),
        ("a: |\n  text", [1]),
        ("a: >-\n  text", [1]),
        ("a: {b: 1}", [1]),
        ("a: @x", [1]),
        ("a: `x", [1]),
        ("a: %x", [1]),
        ("%YAML 1.2\n---\na: 1", [1]),
        ("a: b: c", [1]),
        ("a: b:", [1]),
        ("a: - b", [1]),
        ("a: ? b", [1]),
        ("a: 'x", [1]),
        ("a: \"x", [1]),
        ("a: \"\\u0041\"", [1]),
        ("a: \"x\" y", [1]),
        ("a: \"x\"#y", [1]),
        ("a: [::1]:8000", [1]),
        ("a: [x", [1]),
        ("a: [,]", [1]),
        ("a: [x y]z", [1]),
        ("a: [[x]]", [1]),
        ("a: [{b: 1}]", [1]),
        ("a: [x] y", [1]),
        ("a: 1\na: 2", [2]),
        ("a.b: 1\na:\n  b: 2", [3]),
        ("a:\n  b: 1\na:\n  c: 2", [3]),
        ("a: 1\n  b: 2", [2]),
        ("a:\n    b: 1\n  c: 2", [3]),
        ("  a: 1\nb: 2", [2]),
        ("- a", [1]),
        ("a: 1\n- b", [2]),
        ("a:\n- b\n  - c", [3]),
        ("a:\n- b: 1", [2]),
        ("a:\n- b\n  c: 1", [3]),
        ("a: 1\n---\nb: 2", [2]),
        ("a: 1\n...\nb: 2", [3]),
        ("a: x\u{7}", [1]),
        ("# x\u{7}", [1]), ("# \u{85}", [1]), ("a: x\u{2028}", [1]), ("a: x\u{FEFF}", [1]),
        ("a:\t1", [1]), ("a: 1\t", [1]), ("a: x\ty", [1]), ("a: 'x'\t", [1]), ("\t", [1]),
        ("a:\n-\tx", [2]), ("  \t# c", [1]),
        ("---\n---\na: 1", [2]),
        ("a: [?x]", [1]), ("a: [x:]", [1]), ("a: [:x]", [1]), ("a: [-x]", [1]), ("a: [~]", [1]),
        ("a: [x:?y]", [1]), ("a: [null]", [1]),
        (String(repeating: "k", count: 129) + ": 1", [1]),
        ("a: &x\nb: *x\nc: |", [1, 2, 3]),
    ]

    @Test(arguments: bad)
    func problem(text: String, lines: [Int]) {
        let read = SettingsText(bytes: Array(text.utf8))
        #expect(read.problems.map(\.line) == lines)
    }

    @Test func notUTF8() {
        let read = SettingsText(bytes: Array("a: 1\nb: ".utf8) + [0xFF])
        #expect(read.problems.map(\.line) == [2])
        #expect(read.entries.map(\.name) == ["a"])
    }

    @Test func depth() {
        func text(levels: Int) -> [UInt8] {
            let lines = (0..<levels).map { String(repeating: " ", count: $0) + "k\($0):" }
            return Array(lines.joined(separator: "\n").utf8)
        }
        #expect(SettingsText(bytes: text(levels: SettingsText.depthMax)).problems == [])
        let tooDeep = SettingsText(bytes: text(levels: SettingsText.depthMax + 1))
        #expect(tooDeep.problems.map(\.line) == [SettingsText.depthMax + 1])
    }

    @Test func longestKey() {
        let key = String(repeating: "k", count: SettingsText.keyByteCountMax)
        #expect(SettingsText(bytes: Array("\(key): 1".utf8)).entries.map(\.name) == [key])
    }

    @Test func numberOfKeys() {
        func text(_ count: Int) -> [UInt8] {
            Array((0..<count).map { "k\($0): 1\n" }.joined().utf8)
        }
        let full = SettingsText(bytes: text(SettingsText.entryCountMax))
        #expect(full.problems == [])
        #expect(full.entries.count == SettingsText.entryCountMax)
        let over = SettingsText(bytes: text(SettingsText.entryCountMax + 1))
        #expect(over.problems.map(\.line) == [SettingsText.entryCountMax + 1])
    }

    @Test func numberOfProblems() {
        let text = String(repeating: "?\n", count: SettingsText.problemCountMax + 50)
        let read = SettingsText(bytes: Array(text.utf8))
        #expect(read.problems.count == SettingsText.problemCountMax)
    }

    @Test func hostileTextEnds() {
        var random = SeededRandom(seed: 11)
        let alphabet = Array("ab:- #'\"[]{},&*!|>\\\n\n\t ~.%".utf8) + [0xFF, 0, 13]
        for _ in 0..<3_000 {
            let count = Int.random(in: 0...60, using: &random)
            let bytes = (0..<count).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
            }
            let read = SettingsText(bytes: bytes)
            #expect(read.entries.count + read.problems.count <= 2 * count + 1)
        }
        for pattern in ["- ", "[", "{", "? ", "a: ", "&a [*a,", "\"", "'"] {
            let bytes = Array(String(repeating: pattern, count: 200_000).utf8)
            #expect(SettingsText(bytes: bytes).problems.count == 1)
        }
    }
}
