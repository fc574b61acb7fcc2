import NIOCore
import PrustCore
import PrustWire
import Testing

@Suite struct ReplyDepthTests {
    static func parse(depth: Int) throws -> RESPValue? {
        var parser = RESPReplyParser()
        let text = String(repeating: "*1\r\n", count: depth) + ":1\r\n"
        parser.append(ByteBuffer(string: text))
        return try parser.next()
    }

    @Test func nestingIsBounded() throws {
        #expect(try Self.parse(depth: Limits.replyDepthMax) != nil)
        #expect(throws: (any Error).self) { try Self.parse(depth: Limits.replyDepthMax + 1) }
    }
}
