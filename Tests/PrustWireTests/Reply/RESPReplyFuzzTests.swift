import NIOCore
import PrustCore
import PrustWire
import Testing

/// Random replies, whole and damaged, in random pieces, always the same for a seed.
@Suite struct RESPReplyFuzzTests {
    static func value(depth: Int, using random: inout SeededRandom) -> RESPValue {
        func bytes() -> ByteBuffer {
            let count = Int.random(in: 0...20, using: &random)
            return ByteBuffer(
                bytes: (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            )
        }
        func text() -> ByteBuffer {
            let count = Int.random(in: 0...9, using: &random)
            return ByteBuffer(
                bytes: (0..<count).map { _ in UInt8.random(in: 32...126, using: &random) }
            )
        }
        let count = Int.random(in: 0...4, using: &random)
        switch Int.random(in: 0...(depth > 0 ? 11 : 8), using: &random) {
        case 0: return .simpleString(text())
        case 1: return .error(text())
        case 2: return .integer(Int64(bitPattern: random.next()))
        case 3, 4: return .bulk(bytes())
        case 5: return .null
        case 6: return .boolean(Bool.random(using: &random))
        case 7: return .double(Double(Int.random(in: -1_000...1_000, using: &random)) / 8)
        case 8: return .verbatim(bytes())
        case 9:
            return .array((0..<count).map { _ in Self.value(depth: depth - 1, using: &random) })
        case 10:
            return .set((0..<count).map { _ in Self.value(depth: depth - 1, using: &random) })
        default:
            return .map(
                (0..<count).map { _ in
                    .init(
                        key: Self.value(depth: depth - 1, using: &random),
                        value: Self.value(depth: depth - 1, using: &random)
                    )
                }
            )
        }
    }

    static func write(_ value: RESPValue, into wire: inout ByteBuffer) {
        func line(_ head: String, _ body: ByteBuffer? = nil) {
            wire.writeString(head)
            if let body { wire.writeImmutableBuffer(body) }
            wire.writeString("\r\n")
        }
        func bulk(_ head: String, _ body: ByteBuffer) {
            line("\(head)\(body.readableBytes)")
            line("", body)
        }
        switch value {
        case .simpleString(let text): line("+", text)
        case .error(let text): line("-", text)
        case .integer(let number): line(":\(number)")
        case .bulk(let bytes): bulk("$", bytes)
        case .null: line("_")
        case .boolean(let flag): line(flag ? "#t" : "#f")
        case .double(let number): line(",\(number)")
        case .bigNumber(let digits): line("(", digits)
        case .verbatim(let bytes):
            bulk("=", ByteBuffer(bytes: "txt:".utf8 + bytes.readableBytesView))
        case .array(let values), .set(let values), .push(let values):
            if case .array = value {
                line("*\(values.count)")
            } else if case .set = value {
                line("~\(values.count)")
            } else {
                line(">\(values.count)")
            }
            for element in values { Self.write(element, into: &wire) }
        case .map(let entries):
            line("%\(entries.count)")
            for entry in entries {
                Self.write(entry.key, into: &wire)
                Self.write(entry.value, into: &wire)
            }
        }
    }

    static func pieces(_ wire: ByteBuffer, using random: inout SeededRandom) -> [ByteBuffer] {
        var rest = wire
        var pieces: [ByteBuffer] = []
        while rest.readableBytes > 0 {
            let count = min(rest.readableBytes, Int.random(in: 1...16, using: &random))
            if let piece = rest.readSlice(length: count) { pieces.append(piece) }
        }
        return pieces
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func whatIsWrittenIsRead(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<500 {
            let values = (0..<3).map { _ in Self.value(depth: 4, using: &random) }
            var wire = ByteBuffer()
            for value in values { Self.write(value, into: &wire) }
            #expect(
                try RESPReplyParserTests.replies(Self.pieces(wire, using: &random)) == values
            )
        }
    }

    /// Damage gives values or an error, the same whatever the pieces were.
    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func damageIsHarmlessAndIndependentOfPieces(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<2_000 {
            var wire = ByteBuffer()
            for _ in 0..<2 { Self.write(Self.value(depth: 4, using: &random), into: &wire) }
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<wire.readableBytes, using: &random)
                let letters = Array("0123456789-+$*%~|>!=#,(_:\r\nx".utf8)
                wire.setInteger(letters.randomElement(using: &random) ?? 0, at: index)
            }
            let whole = Self.outcome([wire])
            let parts = Self.outcome(Self.pieces(wire, using: &random))
            #expect(whole.values == parts.values)
            #expect(whole.error == parts.error)
        }
    }

    static func outcome(_ pieces: [ByteBuffer]) -> (values: [String], error: RESPReplyError?) {
        var parser = RESPReplyParser()
        var values: [String] = []
        do {
            for piece in pieces {
                parser.append(piece)
                // A description, because a double that is not a number equals nothing.
                while let value = try parser.next() { values.append("\(value)") }
            }
            return (values, nil)
        } catch {
            return (values, error)
        }
    }
}
