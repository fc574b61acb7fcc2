import PrustCore
import PrustWire
import Testing

@Suite struct RequestParserTests {
    /// Feeds `text` in pieces of `step` bytes and collects commands and the error, if any.
    static func parse(
        _ bytes: [UInt8],
        step: Int,
        trust: RequestParser.Trust = .trusted
    ) -> (commands: [[String]], error: String?) {
        var parser = RequestParser()
        var commands: [[String]] = []
        var start = 0
        var end = 0
        while end < bytes.count {
            end = min(end + step, bytes.count)
            while start < end {
                let window = Array(bytes[start..<end])
                let result = window.withUnsafeBytes { parser.next($0, trust: trust) }
                guard case .command(let byteCount) = result else {
                    if case .failed(let text) = result { return (commands, text) }
                    break
                }
                let source = parser.isInScratch ? parser.scratch : window
                commands.append(
                    parser.places.map {
                        String(
                            decoding: source[Int($0.offset)..<Int($0.offset + $0.byteCount)],
                            as: UTF8.self
                        )
                    }
                )
                start += byteCount
            }
        }
        return (commands, nil)
    }

    static let table: [(input: String, commands: [[String]], error: String?)] = [
        ("*1\r\n$4\r\nPING\r\n", [["PING"]], nil),
        ("*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n", [["GET", ""], ["PING"]], nil),
        ("PING\r\n", [["PING"]], nil),
        ("  SET  a \"b c\\x41\\n\" 'd\\'e'\n", [["SET", "a", "b cA\n", "d'e"]], nil),
        ("\r\nPING\n", [[], ["PING"]], nil),
        ("*0\r\n*-5\r\nPING\n", [[], [], ["PING"]], nil),
        ("*x\r\n", [], "Protocol error: invalid multibulk length"),
        ("*2147483648\r\n", [], "Protocol error: invalid multibulk length"),
        ("*1\r\n+4\r\n", [], "Protocol error: expected '$', got '+'"),
        ("*1\r\n$-1\r\n", [], "Protocol error: invalid bulk length"),
        ("*1\r\n$536870913\r\n", [], "Protocol error: invalid bulk length"),
        ("GET \"a\n", [], "Protocol error: unbalanced quotes in request"),
        ("GET \"a\"b\n", [], "Protocol error: unbalanced quotes in request"),
        ("GET 'a'b\n", [], "Protocol error: unbalanced quotes in request"),
    ]

    @Test(arguments: table, [1, 2, 7, 1_000])
    func commands(row: (input: String, commands: [[String]], error: String?), step: Int) {
        let result = Self.parse(Array(row.input.utf8), step: step)
        #expect(result.commands == row.commands)
        #expect(result.error == row.error)
    }

    @Test func limitsHoldAtTheirValueAndFailOnePast() {
        let most = Limits.argumentCountMax
        let head = Array("*\(most)\r\n".utf8)
        #expect(Self.parse(head, step: 100).error == nil)
        #expect(
            Self.parse(Array("*\(most + 1)\r\n".utf8), step: 100).error?.contains(
                "limits.arguments"
            ) == true
        )
        let fits = "*1\r\n$\(Limits.commandByteCountMax)\r\n"
        #expect(Self.parse(Array(fits.utf8), step: 100).error == nil)
        let past = "*1\r\n$\(Limits.commandByteCountMax + 1)\r\n"
        #expect(Self.parse(Array(past.utf8), step: 100).error?.contains("command-bytes") == true)
        let line = Array(repeating: UInt8(ascii: "a"), count: Limits.inlineByteCountMax)
        #expect(Self.parse(line, step: 4_096).error == nil)
        let longer = line + [UInt8(ascii: "a")]
        #expect(
            Self.parse(longer, step: 4_096).error == "Protocol error: too big inline request"
        )
    }

    /// The end of a line may come in the same read, and the bounds hold all the same.
    @Test func limitsHoldForWholeLines() {
        let line = Array(repeating: UInt8(ascii: "a"), count: Limits.inlineByteCountMax)
        let end = [UInt8(ascii: "\n")]
        #expect(
            Self.parse(line + end, step: .max / 2).commands.first?.first?.utf8.count == line.count
        )
        #expect(
            Self.parse(line + line.prefix(1) + end, step: .max / 2).error
                == "Protocol error: too big inline request"
        )
        func words(_ count: Int) -> RequestParser.Result {
            var parser = RequestParser(argumentCountMax: 16)
            let text = String(repeating: "a ", count: count) + "\n"
            return Array(text.utf8).withUnsafeBytes { parser.next($0, trust: .trusted) }
        }
        #expect(words(16) == .command(byteCount: 33))
        #expect(
            words(17) == .failed("Protocol error: 17 arguments exceed limits.arguments (16)")
        )
    }

    @Test func strangersMaySendLittle() {
        #expect(Self.parse(Array("*10\r\n".utf8), step: 9, trust: .untrusted).error == nil)
        #expect(
            Self.parse(Array("*11\r\n".utf8), step: 9, trust: .untrusted).error
                == "Protocol error: unauthenticated multibulk length"
        )
        #expect(
            Self.parse(Array("*1\r\n$16385\r\n".utf8), step: 9, trust: .untrusted).error
                == "Protocol error: unauthenticated bulk length"
        )
    }

    static let integers: [(String, Int64?)] = [
        ("0", 0), ("-0", nil), ("00", nil), ("7", 7), ("-7", -7), ("+7", nil), ("", nil),
        ("-", nil),
        (" 1", nil), ("1 ", nil), ("9223372036854775807", .max), ("9223372036854775808", nil),
        ("-9223372036854775808", .min), ("-9223372036854775809", nil),
        ("18446744073709551616", nil), ("1.0", nil),
    ]

    @Test(arguments: integers)
    func integersAreReadAsRedisDoes(text: String, value: Int64?) {
        #expect(DecimalInteger.parse(Array(text.utf8)) == value)
    }

    @Test func randomBytesNeverTrap() {
        var random = SeededRandom(seed: 11)
        let alphabet = Array("*$\r\n0123456789-\"'\\xGETa ".utf8)
        for _ in 0..<2_000 {
            let count = Int.random(in: 0...200, using: &random)
            let bytes = (0..<count).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            _ = Self.parse(bytes, step: Int.random(in: 1...50, using: &random))
        }
    }
}
