import NIOCore
import NIOEmbedded
import PrustCore
import PrustTLS
import Testing

@Suite struct HandshakeBoundTests {
    @Test func timeIsBounded() throws {
        let authority = try TestAuthority()
        let observer = CountingObserver()
        let pair = try TestPair(
            client: authority.client(),
            server: authority.server(),
            serverSettings: .init(handshakeTimeout: .seconds(10)),
            observer: observer
        )
        try pair.connect()
        pair.loop.advanceTime(by: .milliseconds(9_999))
        #expect(pair.serverEnd.errors.isEmpty && pair.server.isActive)
        pair.loop.advanceTime(by: .milliseconds(1))
        #expect(pair.serverEnd.errors.map(\.code) == [.handshakeTimedOut])
        #expect(pair.serverEnd.errors.first?.message.contains("10000 ms") == true)
        #expect(!pair.server.isActive)
        #expect(observer.counts == .init(started: 1, failed: [.handshakeTimedOut]))
    }

    @Test func aCompleteHandshakeDoesNotTimeOut() throws {
        let authority = try TestAuthority()
        let pair = try TestPair(client: authority.client(), server: authority.server())
        try pair.run()
        pair.loop.advanceTime(by: .hours(1))
        pair.expectNoErrors()
        #expect(pair.server.isActive && pair.client.isActive)
    }

    /// Runs a handshake with a bound and tells how many bytes the client sent for it.
    private func run(bound: Int) throws -> (pair: TestPair, byteCount: Int) {
        let authority = try TestAuthority(kind: .ed25519)
        let client = try TLSContext.client(
            material: authority.material(.client("alice"), kind: .ed25519),
            applicationProtocols: []
        )
        let server = try TLSContext.server(
            material: authority.material(authority.nodeProfile, kind: .ed25519),
            applicationProtocols: [],
            clientCertificates: .required
        )
        let pair = try TestPair(
            client: client,
            server: server,
            serverSettings: .init(handshakeByteCountMax: bound)
        )
        try pair.run()
        return (pair, pair.clientToServerByteCount)
    }

    @Test func theBoundIsExact() throws {
        // Ed25519 has signatures of one length, so all such handshakes are equally long.
        let byteCount = try self.run(bound: Limits.handshakeByteCountMax).byteCount
        #expect(byteCount > 500 && byteCount < 4000)
        let atBound = try self.run(bound: byteCount).pair
        atBound.expectNoErrors()
        #expect(atBound.serverEnd.completed.count == 1)
        let pastBound = try self.run(bound: byteCount - 1).pair
        #expect(pastBound.serverEnd.errors.map(\.code) == [.handshakeTooLarge])
        #expect(pastBound.serverEnd.completed.isEmpty)
        #expect(!pastBound.server.isActive)
    }

    @Test func anEndlessHandshakeIsCut() throws {
        let authority = try TestAuthority()
        let pair = try TestPair(client: authority.client(), server: authority.server())
        try pair.connect()
        // A client hello that claims 100,000 bytes, in records of 16 KiB.
        var sent = 0
        var isFirst = true
        while pair.server.isActive && sent < 200_000 {
            var record = ByteBuffer(bytes: [0x16, 3, 1])
            record.writeInteger(UInt16(16_384))
            if isFirst {
                record.writeBytes([1, 1, 0x86, 0xa0])
                isFirst = false
            }
            record.writeRepeatingByte(0, count: 16_384 + 5 - record.readableBytes)
            sent += record.readableBytes
            try pair.server.writeInbound(record)
        }
        #expect(pair.serverEnd.errors.count == 1)
        #expect(sent <= Limits.handshakeByteCountMax + 16_389)
    }

    static let plainTable: [(bytes: String, hint: String, answer: String?)] = [
        ("GET / HTTP/1.1\r\n\r\n", "plain HTTP", "HTTP/1.1 400 "),
        ("POST /v1 HTTP/1.1\r\n", "plain HTTP", "HTTP/1.1 400 "),
        ("*1\r\n$4\r\nPING\r\n", "plain RESP", "-ERR TLS 1.3 is needed"),
        ("PING\r\n", "neither TLS nor", "-ERR TLS 1.3 is needed"),
        ("\u{0}\u{0}\u{0}", "neither TLS nor", "-ERR TLS 1.3 is needed"),
    ]

    @Test(arguments: plainTable)
    func plainText(bytes: String, hint: String, answer: String?) throws {
        let authority = try TestAuthority()
        let pair = try TestPair(client: authority.client(), server: authority.server())
        try pair.connect()
        try pair.server.writeInbound(ByteBuffer(string: bytes))
        #expect(pair.serverEnd.errors.map(\.code) == [.notTLS])
        #expect(pair.serverEnd.errors.first?.message.contains(hint) == true)
        let sent = try pair.server.readOutbound(as: ByteBuffer.self)
        #expect(sent.map { String(buffer: $0) }?.hasPrefix(answer ?? "?") == true)
        #expect(!pair.server.isActive)
    }

    @Test func aPlainServerIsNamed() throws {
        let authority = try TestAuthority()
        let pair = try TestPair(client: authority.client(), server: authority.server())
        try pair.connect()
        _ = try pair.client.readOutbound(as: ByteBuffer.self)
        try pair.client.writeInbound(ByteBuffer(string: "-ERR Protocol error\r\n"))
        #expect(pair.clientEnd.errors.map(\.code) == [.notTLS])
        #expect(try pair.client.readOutbound(as: ByteBuffer.self) == nil)
    }

    /// A client hello of TLS 1.2 without the extension that names newer versions.
    static func oldHello(version: UInt16) -> ByteBuffer {
        var body = ByteBuffer()
        body.writeInteger(version)
        body.writeRepeatingByte(7, count: 32)
        body.writeInteger(UInt8(0))
        body.writeInteger(UInt16(4))
        body.writeBytes([0xc0, 0x2b, 0xc0, 0x2f])
        body.writeBytes([1, 0])
        // supported_groups with P-256, signature_algorithms with ECDSA and SHA-256.
        let extensions: [UInt8] = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3]
        body.writeInteger(UInt16(extensions.count))
        body.writeBytes(extensions)
        var record = ByteBuffer(bytes: [0x16, 3, 1])
        record.writeInteger(UInt16(body.readableBytes + 4))
        record.writeBytes([1, 0])
        record.writeInteger(UInt16(body.readableBytes))
        record.writeBuffer(&body)
        return record
    }

    @Test(arguments: [(0x0303, "1.2"), (0x0302, "1.1"), (0x0301, "1.0")])
    func olderVersionsAreRefused(version: Int, name: String) throws {
        let authority = try TestAuthority()
        let pair = try TestPair(client: authority.client(), server: authority.server())
        try pair.connect()
        try pair.server.writeInbound(Self.oldHello(version: UInt16(version)))
        #expect(pair.serverEnd.errors.map(\.code) == [.unsupportedProtocol])
        let message = pair.serverEnd.errors.first?.message ?? ""
        #expect(message.contains("at most TLS \(name)"), "\(message)")
        // Alert record, fatal, protocol_version.
        let alert = try #require(try pair.server.readOutbound(as: ByteBuffer.self))
        #expect(Array(alert.readableBytesView.suffix(2)) == [2, 70])
        #expect(alert.getInteger(at: 0, as: UInt8.self) == 0x15)
    }

    @Test(arguments: 0..<40)
    func garbageNeverTraps(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        let authority = try TestAuthority()
        let pair = try TestPair(client: authority.client(), server: authority.server())
        try pair.connect()
        var garbage = ByteBuffer()
        // Half of them look like a record at first.
        if seed % 2 == 0 { garbage.writeBytes([0x16, 3, 1, 0, 200, 1, 0, 0, 196]) }
        for _ in 0..<400 { garbage.writeInteger(UInt8(truncatingIfNeeded: random.next())) }
        try pair.server.writeInbound(garbage)
        #expect(pair.serverEnd.completed.isEmpty)
        if pair.server.isActive { _ = try? pair.server.finish() }
        #expect(pair.serverEnd.errors.count == 1)
    }

    @Test func anEndInTheMiddleIsAFailure() throws {
        let authority = try TestAuthority()
        let observer = CountingObserver()
        let pair = try TestPair(
            client: authority.client(),
            server: authority.server(),
            observer: observer
        )
        try pair.connect()
        let hello = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        try pair.server.writeInbound(hello)
        pair.server.pipeline.fireChannelInactive()
        #expect(pair.serverEnd.errors.map(\.code) == [.handshakeInterrupted])
        #expect(observer.counts == .init(started: 1, failed: [.handshakeInterrupted]))
    }
}
