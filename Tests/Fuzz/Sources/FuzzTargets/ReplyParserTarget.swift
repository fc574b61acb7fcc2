import NIOCore
import PrustCore
import PrustWire

/// RESP2 and RESP3 replies of a server that is not trusted.
///
/// Properties: whatever the pieces, the same replies and the same error come out; no reply goes
/// beyond the bounds; nothing is kept but the bytes that were given; and replies that are written
/// again read back the same.
package func fuzzReplyParser(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    let flags = input.byte()
    let seed = UInt64(input.byte())
    var bounds = RESPReplyParser.Bounds()
    if flags & 1 != 0 {
        bounds = RESPReplyParser.Bounds(
            bulkByteCountMax: 24,
            lineByteCountMax: 32,
            replyByteCountMax: 96,
            elementCountMax: 8,
            depthMax: 3
        )
    }
    let stream = input.rest()
    let whole = Parsing.run(stream, bounds)
    var random = SeededRandom(seed: seed)
    let pieceMax: UInt64 = flags & 2 == 0 ? 4 : 64
    let pieces = Parsing.run(stream, bounds) { 1 + Int(random.next() % pieceMax) }
    check(whole == pieces, "pieces matter: \(whole) against \(pieces)")
    for value in whole.values {
        let size = Size(value)
        check(size.depth <= bounds.depthMax, "depth \(size.depth)")
        check(size.elementCount <= bounds.elementCountMax, "\(size.elementCount) elements")
        check(size.byteCount <= bounds.replyByteCountMax, "\(size.byteCount) bytes")
        let written = ReplyWriter.bytes(of: value)
        let again = Parsing.run(written, .init(bulkByteCountMax: Limits.valueByteCountMax + 4))
        check(again.error == nil && again.values.count == 1, "written again: \(again)")
        for copy in again.values {
            check(ReplyWriter.bytes(of: copy) == written, "\(copy) written again from \(value)")
        }
    }
}

private struct Parsing: Equatable {
    var values: [RESPValue] = []
    var error: RESPReplyError?
    var isInsideReply = false

    static func run(
        _ stream: [UInt8],
        _ bounds: RESPReplyParser.Bounds,
        pieceByteCount: (() -> Int)? = nil
    ) -> Parsing {
        var result = Parsing()
        var parser = RESPReplyParser(bounds: bounds)
        var position = 0
        do throws(RESPReplyError) {
            repeat {
                let byteCount = min(stream.count - position, pieceByteCount?() ?? stream.count)
                parser.append(ByteBuffer(bytes: stream[position..<position + byteCount]))
                position += byteCount
                while let value = try parser.next() { result.values.append(value) }
                check(parser.bufferedByteCount <= position, "bytes from nowhere")
            } while position < stream.count
            result.isInsideReply = parser.isInsideReply
        } catch {
            checkIsOneLine("\(error)")
            result.error = error
            parser.append(ByteBuffer(string: "+OK\r\n"))
            check(parser.bufferedByteCount == 0, "bytes are kept after an error")
            do throws(RESPReplyError) {
                check(try parser.next() == nil, "a reply after an error")
                check(false, "the error is forgotten")
            } catch let second {
                check(second == error, "another error")
            }
        }
        return result
    }

    static func == (left: Self, right: Self) -> Bool {
        // Not a number is not equal to itself, but written it is.
        left.error == right.error && left.isInsideReply == right.isInsideReply
            && left.values.map { ReplyWriter.bytes(of: $0) }
                == right.values.map { ReplyWriter.bytes(of: $0) }
    }
}

private struct Size {
    var depth = 0
    var elementCount = 0
    var byteCount = 0

    init(_ value: RESPValue) {
        switch value {
        case .array(let elements), .set(let elements), .push(let elements):
            self.add(elements)
        case .map(let entries):
            self.add(entries.flatMap { [$0.key, $0.value] })
        case .simpleString(let bytes), .error(let bytes), .bulk(let bytes), .bigNumber(let bytes),
            .verbatim(let bytes):
            self.byteCount = bytes.readableBytes
        case .integer, .null, .boolean, .double:
            self.byteCount = 1
        }
    }

    private mutating func add(_ elements: [RESPValue]) {
        // An aggregate without elements is whole at once and opens no level.
        self.depth = elements.isEmpty ? 0 : 1
        self.elementCount = elements.count
        for element in elements {
            let size = Size(element)
            self.depth = max(self.depth, size.depth + 1)
            self.elementCount += size.elementCount
            self.byteCount += size.byteCount
        }
    }
}

/// Replies as a server writes them in RESP3.
private enum ReplyWriter {
    static func bytes(of value: RESPValue) -> [UInt8] {
        var result: [UInt8] = []
        self.write(value, &result)
        return result
    }

    private static func write(_ value: RESPValue, _ result: inout [UInt8]) {
        func line(_ type: String, _ text: some Sequence<UInt8>) {
            result += type.utf8
            result += text
            result += "\r\n".utf8
        }
        func bulk(_ type: String, _ prefix: String, _ bytes: ByteBuffer) {
            line(type, "\(prefix.utf8.count + bytes.readableBytes)".utf8)
            line(prefix, bytes.readableBytesView)
        }
        func aggregate(_ type: String, _ elements: [RESPValue], count: Int) {
            line(type, "\(count)".utf8)
            for element in elements { self.write(element, &result) }
        }
        switch value {
        case .simpleString(let bytes): line("+", bytes.readableBytesView)
        case .error(let bytes): bulk("!", "", bytes)
        case .integer(let number): line(":", "\(number)".utf8)
        case .bulk(let bytes): bulk("$", "", bytes)
        case .null: line("_", [])
        case .array(let elements): aggregate("*", elements, count: elements.count)
        case .set(let elements): aggregate("~", elements, count: elements.count)
        case .push(let elements): aggregate(">", elements, count: elements.count)
        case .map(let entries):
            aggregate("%", entries.flatMap { [$0.key, $0.value] }, count: entries.count)
        case .boolean(let flag): line("#", (flag ? "t" : "f").utf8)
        case .double(let number): line(",", "\(number)".utf8)
        case .bigNumber(let bytes): line("(", bytes.readableBytesView)
        case .verbatim(let bytes): bulk("=", "txt:", bytes)
        }
    }
}
