import Logging
import PrustCore
import PrustSystemd
import Testing

@Suite struct LogTextTests {
    static let escapes: [(String, String)] = [
        ("plain text", "plain text"),
        ("äöü 漢字 🙂", "äöü 漢字 🙂"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\u{1B}[31mred", "\\u{1b}[31mred"),
        ("\u{0}\u{7F}\u{85}", "\\u{0}\\u{7f}\\u{85}"),
        ("\u{202E}evil\u{2066}\u{2028}\u{200F}", "\\u{202e}evil\\u{2066}\\u{2028}\\u{200f}"),
        ("\r\n", "\\r\\n"),
    ]

    @Test(arguments: escapes)
    func escape(text: String, expected: String) {
        #expect(LogText.escape(text) == expected)
    }

    @Test func cutAtTheBoundAndOnePastIt() {
        #expect(LogText.cut("12345678", byteCountMax: 8) == "12345678")
        #expect(LogText.cut("123456789", byteCountMax: 8) == "12345...")
        #expect(LogText.cut("äöüäöü", byteCountMax: 8) == "äö...")
        #expect(LogText.cut("🙂🙂🙂", byteCountMax: 8) == "🙂...")
    }

    static let facts: [(Logger.Metadata, String)] = [
        ([:], ""),
        (["b": "2", "a": "1"], " a=1 b=2"),
        (["a": "two words"], " a=\"two words\""),
        (["a": "say \"hi\""], " a=\"say \\\"hi\\\"\""),
        (["a": "x\\\" b=c"], " a=\"x\\\\\\\" b=c\""),
        (["a": ""], " a=\"\""),
        (["a": "x=y"], " a=\"x=y\""),
        (["a": "l\nm"], " a=l\\nm"),
    ]

    @Test(arguments: facts)
    func factsAreSortedAndQuoted(metadata: Logger.Metadata, expected: String) {
        #expect(LogText.facts(metadata) == expected)
    }

    @Test func aFactIsBounded() {
        let value = String(repeating: "v", count: LogText.valueByteCountMax + 1)
        let text = LogText.facts(["k": .string(value)])
        #expect(text.utf8.count == " k=".utf8.count + LogText.valueByteCountMax)
    }

    static let times: [(Int64, String)] = [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (951_868_800_000, "2000-03-01T00:00:00.000Z"),
        (1_709_164_800_001, "2024-02-29T00:00:00.001Z"),
        (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ]

    @Test(arguments: times)
    func timestamp(milliseconds: Int64, text: String) {
        #expect(Timestamp.text(of: WallTime(milliseconds: milliseconds)) == text)
    }

    @Test func timestampOfAnyIntegerDoesNotTrap() {
        #expect(Timestamp.text(of: WallTime(milliseconds: .max)).hasSuffix("Z"))
        #expect(Timestamp.text(of: WallTime(milliseconds: .min)).hasSuffix("Z"))
    }
}
