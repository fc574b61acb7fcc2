import NIOCore
import NIOEmbedded
import PrustCore
import Testing

@testable import PrustServer

/// How long a connection may stay as it is, in virtual time.
@Suite struct HTTPServiceHandlerTests {
    private static let answered = "GET /answered HTTP/1.1\r\nHost: localhost\r\n\r\n"
    private static let pending = "GET /pending HTTP/1.1\r\nHost: localhost\r\n\r\n"
    private static let half = "POST /answered HTTP/1.1\r\nContent-Length: 2\r\n\r\n{"

    static let table: [(name: String, sent: String, isAnswered: Bool, limit: TimeAmount)] = [
        ("nothing was sent", "", false, .seconds(30)),
        ("half a head", String(answered.dropLast(4)), false, .seconds(30)),
        ("half a body", half, false, .seconds(30)),
        ("an answer", answered, true, .seconds(75)),
        ("half a body behind an answer", answered + half, true, .seconds(30)),
        ("no answer", pending, false, .minutes(5)),
        ("no answer behind an answer", answered + pending, true, .minutes(5)),
        ("requests behind no answer", pending + answered + answered, false, .minutes(5)),
    ]

    @Test(arguments: table)
    func limits(name: String, sent: String, isAnswered: Bool, limit: TimeAmount) async throws {
        // Ends with the test.
        let (never, end) = AsyncStream.makeStream(of: Void.self)
        defer { end.finish() }
        let channel = NIOAsyncTestingChannel()
        let loop = channel.testingEventLoop
        try await channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).get()
        try await loop.executeInContext {
            try addHTTPService(channel, bodyByteCountMax: 2) { request in
                if request.path == "/pending" { for await _ in never {} }
                return AdminResponse(status: 200, body: [])
            }
        }
        if !sent.isEmpty { try await channel.writeInbound(ByteBuffer(string: sent)) }
        if isAnswered {
            let answer = try await channel.waitForOutboundWrite(as: ByteBuffer.self)
            #expect(String(buffer: answer).hasPrefix("HTTP/1.1 200 OK\r\n"), "\(name)")
        }
        await loop.advanceTime(by: limit - .nanoseconds(1))
        #expect(channel.isActive, "\(name)")
        await loop.advanceTime(by: .nanoseconds(1))
        #expect(!channel.isActive, "\(name)")
    }
}
