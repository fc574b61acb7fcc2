import NIOCore
import PrustCore
import PrustWire
import Testing

@Suite struct RESPReplyParserTests {
    typealias Row = (wire: String, value: RESPValue)

    static func bulk(_ text: String) -> RESPValue { .bulk(ByteBuffer(string: text)) }
    static func simple(_ text: String) -> RESPValue { .simpleString(ByteBuffer(string: text)) }
    static func entry(_ key: RESPValue, _ value: RESPValue) -> RESPValue.Entry {
        .init(key: key, value: value)
    }

    static let scalars: [Row] = [
        ("+OK\r\n", simple("OK")),
        ("+\r\n", simple("")),
        ("-ERR no\r\n", .error(ByteBuffer(string: "ERR no"))),
        (":0\r\n", .integer(0)),
        (":+7\r\n", .integer(7)),
        (":-1\r\n", .integer(-1)),
        (":9223372036854775807\r\n", .integer(.max)),
        (":-9223372036854775808\r\n", .integer(.min)),
        ("$0\r\n\r\n", bulk("")),
        ("$5\r\na\r\nbc\r\n", bulk("a\r\nbc")),
        ("$-1\r\n", .null),
        ("*-1\r\n", .null),
        ("_\r\n", .null),
        ("#t\r\n", .boolean(true)),
        ("#f\r\n", .boolean(false)),
        (",1.5\r\n", .double(1.5)),
        (",10\r\n", .double(10)),
        (",-2.5e-3\r\n", .double(-0.0025)),
        (",inf\r\n", .double(.infinity)),
        (",-inf\r\n", .double(-.infinity)),
        (
            "(-3492890328409238509324850943850943825024385\r\n",
            .bigNumber(ByteBuffer(string: "-3492890328409238509324850943850943825024385"))
        ),
        ("!5\r\nERR x\r\n", .error(ByteBuffer(string: "ERR x"))),
        ("=7\r\ntxt:abc\r\n", .verbatim(ByteBuffer(string: "abc"))),
        ("=4\r\nmkd:\r\n", .verbatim(ByteBuffer(string: ""))),
    ]

    static let aggregates: [Row] = [
        ("*0\r\n", .array([])),
        ("%0\r\n", .map([])),
        ("~0\r\n", .set([])),
        (">0\r\n", .push([])),
        ("*2\r\n$1\r\na\r\n:2\r\n", .array([bulk("a"), .integer(2)])),
        ("*2\r\n*1\r\n*0\r\n$-1\r\n", .array([.array([.array([])]), .null])),
        (
            "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n",
            .map([entry(simple("a"), .integer(1)), entry(simple("b"), .array([.null]))])
        ),
        ("~2\r\n:1\r\n:2\r\n", .set([.integer(1), .integer(2)])),
        (">2\r\n+message\r\n+x\r\n", .push([simple("message"), simple("x")])),
        ("|1\r\n+ttl\r\n:3600\r\n:7\r\n", .integer(7)),
        ("|0\r\n:7\r\n", .integer(7)),
        ("*2\r\n|1\r\n+a\r\n*1\r\n:9\r\n:1\r\n:2\r\n", .array([.integer(1), .integer(2)])),
        ("*1\r\n|0\r\n|1\r\n:1\r\n:2\r\n:3\r\n", .array([.integer(3)])),
    ]

    static func replies(_ pieces: [ByteBuffer]) throws(RESPReplyError) -> [RESPValue] {
        var parser = RESPReplyParser()
        var replies: [RESPValue] = []
        for piece in pieces {
            parser.append(piece)
            while let reply = try parser.next() { replies.append(reply) }
        }
        return replies
    }

    @Test(arguments: scalars + aggregates)
    func oneReply(wire: String, value: RESPValue) throws {
        #expect(try Self.replies([ByteBuffer(string: wire)]) == [value])
    }

    @Test(arguments: scalars + aggregates)
    func everyPrefixWaits(wire: String, value: RESPValue) throws {
        for count in 0..<wire.utf8.count {
            var parser = RESPReplyParser()
            parser.append(ByteBuffer(bytes: wire.utf8.prefix(count)))
            #expect(try parser.next() == nil)
            #expect(parser.isInsideReply == (count > 0) || wire.hasPrefix("|"))
            parser.append(ByteBuffer(bytes: wire.utf8.dropFirst(count)))
            #expect(try parser.next() == value)
            #expect(!parser.isInsideReply)
        }
    }

    @Test func nanIsRead() throws {
        guard case .double(let value)? = try Self.replies([ByteBuffer(string: ",nan\r\n")]).first
        else {
            Issue.record("no double")
            return
        }
        #expect(value.isNaN)
    }

    @Test func everythingByteByByteAndAtOnce() throws {
        let all = Self.scalars + Self.aggregates
        let wire = all.map { $0.wire }.joined()
        let expected = all.map { $0.value }
        #expect(try Self.replies([ByteBuffer(string: wire)]) == expected)
        #expect(try Self.replies(wire.utf8.map { ByteBuffer(bytes: [$0]) }) == expected)
    }

    static let malformed: [(wire: String, error: RESPReplyError)] = [
        ("?1\r\n", .unknownType(UInt8(ascii: "?"))),
        ("GET\r\n", .unknownType(UInt8(ascii: "G"))),
        ("\r\n", .malformedLine),
        ("+a\n", .malformedLine),
        ("+a\rb\r\n", .malformedLine),
        ("\n", .malformedLine),
        (":\r\n", .malformedNumber),
        (":-\r\n", .malformedNumber),
        (":1a\r\n", .malformedNumber),
        (":9223372036854775808\r\n", .malformedNumber),
        (":-9223372036854775809\r\n", .malformedNumber),
        (":99999999999999999999999999\r\n", .malformedNumber),
        ("$\r\n", .malformedNumber),
        ("$-2\r\n", .malformedNumber),
        ("!-1\r\n", .malformedNumber),
        ("$?\r\n", .malformedNumber),
        ("*-2\r\n", .malformedNumber),
        ("%-1\r\n", .malformedNumber),
        ("*?\r\n", .malformedNumber),
        ("$1\r\nabc", .unterminatedBulk),
        ("_x\r\n", .malformedValue),
        ("#x\r\n", .malformedValue),
        ("#tt\r\n", .malformedValue),
        (",\r\n", .malformedValue),
        (",0x10\r\n", .malformedValue),
        (",infinity\r\n", .malformedValue),
        ("(\r\n", .malformedValue),
        ("(-\r\n", .malformedValue),
        ("(12x\r\n", .malformedValue),
        ("=3\r\ntxt\r\n", .malformedValue),
        ("=4\r\ntxt.\r\n", .malformedValue),
        ("*1\r\n>1\r\n:1\r\n", .misplacedPush),
        (
            "$16777217\r\n",
            .bulkTooLarge(byteCount: 16_777_217, byteCountMax: Limits.valueByteCountMax)
        ),
        (
            "$9223372036854775807\r\n",
            .bulkTooLarge(byteCount: .max, byteCountMax: Limits.valueByteCountMax)
        ),
        ("*9223372036854775807\r\n", .tooManyElements(countMax: 1_048_576)),
        ("%9223372036854775807\r\n", .tooManyElements(countMax: 1_048_576)),
    ]

    @Test(arguments: malformed)
    func errors(wire: String, error: RESPReplyError) throws {
        var parser = RESPReplyParser()
        parser.append(ByteBuffer(string: wire))
        #expect(throws: error) { try parser.next() }
        parser.append(ByteBuffer(string: ":1\r\n"))
        #expect(throws: error, "an error stays") { try parser.next() }
        #expect(throws: error) {
            try Self.replies(wire.utf8.map { ByteBuffer(bytes: [$0]) })
        }
    }

    @Test func boundsAtAndOnePast() throws {
        let bounds = RESPReplyParser.Bounds(
            bulkByteCountMax: 4,
            lineByteCountMax: 8,
            replyByteCountMax: 30,
            elementCountMax: 6,
            depthMax: 3
        )
        let rows: [(wire: String, error: RESPReplyError?)] = [
            ("$4\r\nabcd\r\n", nil),
            ("$5\r\n", .bulkTooLarge(byteCount: 5, byteCountMax: 4)),
            ("+1234567\r\n", nil),
            ("+12345678\r\n", .lineTooLong(byteCountMax: 8)),
            ("+12345678", .lineTooLong(byteCountMax: 8)),
            ("*6\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n", nil),
            ("*7\r\n", .tooManyElements(countMax: 6)),
            ("%3\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n", nil),
            ("%4\r\n", .tooManyElements(countMax: 6)),
            ("*2\r\n*3\r\n:1\r\n:1\r\n:1\r\n*2\r\n", .tooManyElements(countMax: 6)),
            ("*1\r\n*1\r\n*1\r\n:1\r\n", nil),
            ("*1\r\n*1\r\n*1\r\n*0\r\n", .tooDeep(depthMax: 3)),
            ("*2\r\n$4\r\nabcd\r\n$4\r\nabcd\r\n", nil),
            ("*3\r\n$4\r\nabcd\r\n$4\r\nabcd\r\n+123456\r\n", .replyTooLarge(byteCountMax: 30)),
            ("*3\r\n$4\r\nabcd\r\n$4\r\nabcd\r\n$4\r\n", .replyTooLarge(byteCountMax: 30)),
        ]
        for row in rows {
            var parser = RESPReplyParser(bounds: bounds)
            // The budgets are those of one reply: the same reply is accepted again and again.
            for _ in 0..<3 {
                parser.append(ByteBuffer(string: row.wire))
                if let error = row.error {
                    #expect(throws: error, "\(row.wire)") { try parser.next() }
                } else {
                    #expect(try parser.next() != nil, "\(row.wire)")
                }
            }
        }
    }

    @Test func emptyAttributesWithoutEndAreBounded() throws {
        var parser = RESPReplyParser(bounds: .init(replyByteCountMax: 1_000))
        for _ in 0..<250 { parser.append(ByteBuffer(string: "|0\r\n")) }
        #expect(try parser.next() == nil)
        parser.append(ByteBuffer(string: "|0\r\n"))
        #expect(throws: RESPReplyError.replyTooLarge(byteCountMax: 1_000)) { try parser.next() }
    }

    /// A reply of two large byte strings in pieces of 1 KiB; quadratic work would show as minutes.
    @Test func largeBulkInSmallPieces() throws {
        let size = Limits.valueByteCountMax
        let body = ByteBuffer(repeating: UInt8(ascii: "x"), count: size)
        var wire = ByteBuffer(string: "*2\r\n")
        for _ in 0..<2 {
            wire.writeString("$\(size)\r\n")
            wire.writeImmutableBuffer(body)
            wire.writeString("\r\n")
        }
        var parser = RESPReplyParser()
        var replies: [RESPValue] = []
        while let piece = wire.readSlice(length: min(1_024, max(wire.readableBytes, 1))) {
            parser.append(ByteBuffer(bytes: piece.readableBytesView))
            while let reply = try parser.next() { replies.append(reply) }
        }
        #expect(replies == [.array([.bulk(body), .bulk(body)])])
    }

    @Test func manySmallRepliesHeldWhileMoreArrive() throws {
        var parser = RESPReplyParser()
        var held: [RESPValue] = []
        var wire = ByteBuffer()
        for index in 0..<20_000 { wire.writeString("$5\r\n\(10_000 + index % 80_000)\r\n") }
        while let piece = wire.readSlice(length: min(7, max(wire.readableBytes, 1))) {
            parser.append(piece)
            while let reply = try parser.next() { held.append(reply) }
        }
        #expect(held.count == 20_000)
        #expect(held.indices.allSatisfy { held[$0] == Self.bulk("\(10_000 + $0)") })
    }
}
