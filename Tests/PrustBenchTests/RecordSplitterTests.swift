import PrustCore
import Testing

@testable import prust_bench

@Suite struct RecordSplitterTests {
    struct Row: Sendable {
        let name: String
        let format: RecordFormat
        let keys: [String]
        let file: String
        let records: [(line: Int, key: String, value: String)]
        var error: String?
    }

    static let packages = """
        Package: a
        Version: 1
        Description: one
          two
         .
         three

        package:  b\t
        Version: 2

        """

    static let deb822: [Row] = [
        Row(name: "empty", format: .deb822, keys: ["Package"], file: "", records: []),
        Row(name: "blank", format: .deb822, keys: ["Package"], file: "\n \n\t\n", records: []),
        Row(
            name: "paragraphs",
            format: .deb822,
            keys: ["Package"],
            file: packages,
            records: [
                (1, "a", "Package: a\nVersion: 1\nDescription: one\n  two\n .\n three\n"),
                (8, "b", "package:  b\t\nVersion: 2\n"),
            ]
        ),
        Row(
            name: "several key fields, no line end at the end, many empty lines",
            format: .deb822,
            keys: ["Package", "Version"],
            file: "\n\nPackage: a\nVersion: 1\n\n\n\nVersion: 2\nPackage: a",
            records: [
                (3, "a:1", "Package: a\nVersion: 1\n"), (8, "a:2", "Version: 2\nPackage: a"),
            ]
        ),
        Row(
            name: "carriage returns stay",
            format: .deb822,
            keys: ["Package"],
            file: "Package: a\r\nX: y\r\n\r\nPackage: b\r\n",
            records: [(1, "a", "Package: a\r\nX: y\r\n"), (4, "b", "Package: b\r\n")]
        ),
        Row(
            name: "a continuation line is no field",
            format: .deb822,
            keys: ["Package"],
            file: "X: y\n Package: no\nPackage: yes\n",
            records: [(1, "yes", "X: y\n Package: no\nPackage: yes\n")]
        ),
        Row(
            name: "no key",
            format: .deb822,
            keys: ["Package"],
            file: "Package: a\n\nVersion: 1\n",
            records: [(1, "a", "Package: a\n")],
            error: "line 3: the record has no field 'Package'"
        ),
        Row(
            name: "empty key",
            format: .deb822,
            keys: ["Package"],
            file: "Package: \n",
            records: [],
            error: "line 1: the record has no field 'Package'"
        ),
    ]

    static let jsonl: [Row] = [
        Row(
            name: "objects",
            format: .jsonl,
            keys: ["id"],
            file:
                "{\"id\":\"a\"}\n\n {\"x\":[1,{\"id\":2}],\"id\":-1.5e3} \r\n"
                + "{\"id\":\"\\u00e9\\n\"}",
            records: [
                (1, "a", "{\"id\":\"a\"}"),
                (3, "-1.5e3", " {\"x\":[1,{\"id\":2}],\"id\":-1.5e3} "),
                (4, "\u{e9}\n", "{\"id\":\"\\u00e9\\n\"}"),
            ]
        ),
        Row(
            name: "pairs of surrogates, several fields, the last of a name",
            format: .jsonl,
            keys: ["a", "b"],
            file: "{\"a\":\"x\",\"b\":\"\\ud83d\\ude00\",\"a\":\"y\"}\n",
            records: [(1, "y:\u{1F600}", "{\"a\":\"x\",\"b\":\"\\ud83d\\ude00\",\"a\":\"y\"}")]
        ),
        Row(
            name: "another kind of value is no key",
            format: .jsonl,
            keys: ["a"],
            file: "{\"a\":null}\n",
            records: [],
            error: "line 1: the record has no field 'a'"
        ),
        Row(
            name: "array",
            format: .jsonl,
            keys: ["a"],
            file: "{\"a\":1}\n[1]\n",
            records: [(1, "1", "{\"a\":1}")],
            error: "line 2: not a JSON object: '{' expected at column 1"
        ),
        Row(
            name: "bytes behind",
            format: .jsonl,
            keys: ["a"],
            file: "{\"a\":1} x\n",
            records: [],
            error: "line 1: not a JSON object: bytes behind it"
        ),
    ]

    static let csv: [Row] = [
        Row(
            name: "quotes, commas and line ends inside, fields in any order",
            format: .csv,
            keys: ["id"],
            file: "name,id\r\n\"a,\"\"b\nc\",1\r\n\r\nd,\"2\"\n",
            records: [(2, "1", "\"a,\"\"b\nc\",1"), (5, "2", "d,\"2\"")]
        ),
        Row(
            name: "byte order mark, no line end at the end",
            format: .csv,
            keys: ["id"],
            file: "\u{FEFF}id,x\n1,\n2,y",
            records: [(2, "1", "1,"), (3, "2", "2,y")]
        ),
        Row(
            name: "no such field",
            format: .csv,
            keys: ["id"],
            file: "\na,b\n1,2\n",
            records: [],
            error: "line 2: the header has no field 'id'"
        ),
        Row(
            name: "wrong number of fields",
            format: .csv,
            keys: ["a"],
            file: "a,b\n1,2\n3\n",
            records: [(2, "1", "1,2")],
            error: "line 3: 1 fields, the header has 2"
        ),
        Row(
            name: "quote in a bare field",
            format: .csv,
            keys: ["a"],
            file: "a\nx\"y\"\n",
            records: [],
            error: "line 2: a quote inside a bare field"
        ),
        Row(
            name: "bytes behind a quoted field",
            format: .csv,
            keys: ["a"],
            file: "a\n\"x\"y\n",
            records: [],
            error: "line 2: bytes behind a quoted field"
        ),
        Row(
            name: "a quote that does not end",
            format: .csv,
            keys: ["a"],
            file: "a\n1\n\"x\n",
            records: [(2, "1", "1")],
            error: "line 3: a quoted field does not end"
        ),
    ]

    static func split(
        _ row: Row,
        pieceByteCount: Int
    ) -> (records: [Record], error: String?) {
        var splitter = RecordSplitter(format: row.format, keyFields: row.keys, prefix: "p:")
        var rest = Array(row.file.utf8)[...]
        var records: [Record] = []
        do {
            while true {
                let piece = rest.prefix(pieceByteCount)
                rest = rest.dropFirst(pieceByteCount)
                if piece.isEmpty { splitter.finish() } else { splitter.append(piece) }
                while let record = try splitter.next() { records.append(record) }
                if piece.isEmpty { return (records, nil) }
            }
        } catch {
            return (records, "\(error)")
        }
    }

    @Test(arguments: deb822 + jsonl + csv)
    func records(row: Row) {
        for pieceByteCount in [1, 2, 3, 7, 100_000] {
            let (records, error) = Self.split(row, pieceByteCount: pieceByteCount)
            #expect(error == row.error, "\(row.name), \(pieceByteCount)")
            #expect(records.map { $0.line } == row.records.map { $0.line }, "\(row.name)")
            #expect(
                records.map { String(decoding: $0.key, as: UTF8.self) }
                    == row.records.map { "p:" + $0.key },
                "\(row.name), \(pieceByteCount)"
            )
            #expect(
                records.map { String(decoding: $0.value, as: UTF8.self) }
                    == row.records.map { $0.value },
                "\(row.name), \(pieceByteCount)"
            )
            #expect(records.map { $0.number } == Array(1..<(records.count + 1)))
        }
    }

    @Test func boundsAtAndOnePast() throws {
        for (byteCount, isRight) in [(1_000, true), (1_001, false)] {
            var splitter = RecordSplitter(
                format: .jsonl,
                keyFields: ["a"],
                prefix: "",
                recordByteCountMax: 1_000
            )
            let head = Array("{\"a\":1}".utf8)
            splitter.append(head + Array(repeating: 0x20, count: byteCount - head.count) + [0x0A])
            if isRight {
                #expect(try splitter.next()?.value.count == byteCount)
            } else {
                #expect(throws: RecordError.self) { try splitter.next() }
            }
            // A record without an end is noticed before it has filled the memory.
            var endless = RecordSplitter(
                format: .deb822,
                keyFields: ["a"],
                prefix: "",
                recordByteCountMax: 1_000
            )
            endless.append(repeatElement(UInt8(ascii: "x"), count: byteCount))
            if isRight {
                #expect(try endless.next() == nil)
            } else {
                #expect(throws: RecordError.self) { try endless.next() }
            }
        }
        #expect(RecordSplitter.recordByteCountMax == Limits.valueByteCountMax)
        let keyByteCountMax = Limits.keyByteCountMax
        for (byteCount, isRight) in [(keyByteCountMax, true), (keyByteCountMax + 1, false)] {
            var splitter = RecordSplitter(format: .deb822, keyFields: ["K"], prefix: "1234")
            splitter.append(Array("K: \(String(repeating: "k", count: byteCount - 4))\n\n".utf8))
            if isRight {
                #expect(try splitter.next()?.key.count == byteCount)
            } else {
                #expect(throws: RecordError.self) { try splitter.next() }
            }
        }
    }

    static let badJSON = [
        "", "{", "{}x", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":01}", "{\"a\":1.}",
        "{\"a\":.5}", "{\"a\":+1}", "{\"a\":1e}", "{\"a\":tru}", "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\\udc00\"}", "{\"a\":\"x",
        "{\"a\":\"\t\"}", "{\"a\":[1,]}", "{\"a\":[1}", "{\"a\":NaN}",
        "{\"a\":" + String(repeating: "[", count: 1_000),
        "{\"a\":" + String(repeating: "{\"b\":", count: 1_000),
    ]

    @Test(arguments: badJSON)
    func malformedJSONIsRefused(text: String) {
        #expect(throws: JSONObjectScanner.Failure.self) {
            try JSONObjectScanner.values(of: [Array("a".utf8)], in: Array(text.utf8)[...])
        }
    }

    @Test func nestingIsBoundedAtItsLimit() throws {
        for (depth, isRight) in [(127, true), (128, false)] {
            let text =
                "{\"a\":" + String(repeating: "[", count: depth)
                + String(repeating: "]", count: depth) + "}"
            let bytes = Array(text.utf8)[...]
            let isRead = (try? JSONObjectScanner.values(of: [], in: bytes)) != nil
            #expect(isRead == isRight)
        }
    }
}
