import NIOCore
import NIOEmbedded
import PrustCore
import PrustTLS
import Testing

@Suite struct CloseTests {
    @Test func closeNotifyIsACleanEnd() throws {
        let pair = try DataTests.connected()
        pair.client.write(ByteBuffer(string: "last words"), promise: nil)
        pair.client.close(promise: nil)
        #expect(!pair.client.isActive)
        try pair.pump()
        #expect(pair.serverEnd.text == "last words")
        #expect(!pair.server.isActive)
        #expect(pair.serverEnd.isInactive)
        // The server answers with its own; it was written in one buffer.
        pair.expectNoErrors()
    }

    @Test func halfClosureGoesOnTheOtherWay() throws {
        let pair = try DataTests.connected()
        try pair.server.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
        let before = pair.clientToServerBufferCount
        pair.client.write(ByteBuffer(string: "question"), promise: nil)
        pair.client.close(mode: .output, promise: nil)
        try pair.pump()
        #expect(pair.clientToServerBufferCount == before + 1)
        #expect(pair.serverEnd.text == "question")
        #expect(pair.serverEnd.inputClosedCount == 1)
        #expect(pair.server.isActive)
        // The end of the stream of TCP follows, and is no news.
        pair.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(pair.serverEnd.inputClosedCount == 1)
        pair.send("answer", from: pair.server)
        try pair.pump()
        #expect(pair.clientEnd.text == "answer")
        let late = pair.client.writeAndFlush(ByteBuffer(string: "late"))
        #expect(throws: ChannelError.ioOnClosedChannel) { try late.wait() }
        pair.expectNoErrors()
    }

    @Test func bytesAfterCloseNotifyAreIgnored() throws {
        let pair = try DataTests.connected()
        try pair.server.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
        pair.client.close(mode: .output, promise: nil)
        try pair.pump()
        try pair.server.writeInbound(ByteBuffer(string: "rubbish"))
        #expect(pair.serverEnd.text == "")
        pair.expectNoErrors()
    }

    @Test func truncationIsAnError() throws {
        let pair = try DataTests.connected()
        pair.send("half", from: pair.client)
        try pair.pump()
        pair.server.pipeline.fireChannelInactive()
        #expect(pair.serverEnd.errors.map(\.code) == [.truncated])
        #expect(pair.serverEnd.isInactive)
        #expect(pair.serverEnd.text == "half")
    }

    @Test func truncationOfOneDirectionIsAnError() throws {
        let pair = try DataTests.connected()
        try pair.server.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
        pair.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(pair.serverEnd.errors.map(\.code) == [.truncated])
        #expect(!pair.server.isActive)
    }

    @Test func truncationAfterOurOwnCloseNotifyIsAnError() throws {
        let pair = try DataTests.connected()
        pair.server.close(mode: .output, promise: nil)
        pair.server.pipeline.fireChannelInactive()
        #expect(pair.serverEnd.errors.map(\.code) == [.truncated])
    }

    @Test func aCutRecordIsTruncation() throws {
        let pair = try DataTests.connected()
        pair.send("never whole", from: pair.client)
        var wire = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        let part = wire.readSlice(length: wire.readableBytes - 1) ?? ByteBuffer()
        try pair.server.writeInbound(part)
        pair.server.pipeline.fireChannelInactive()
        #expect(pair.serverEnd.errors.map(\.code) == [.truncated])
        #expect(pair.serverEnd.text == "")
    }

    @Test func changedCiphertextIsRefusedWithAnAlert() throws {
        let pair = try DataTests.connected()
        pair.send("good", from: pair.client)
        try pair.pump()
        pair.tamper = { buffer in
            let last = buffer.writerIndex - 1
            let byte = buffer.getInteger(at: last, as: UInt8.self) ?? 0
            buffer.setInteger(byte ^ 1, at: last)
        }
        pair.send("bad", from: pair.client)
        try pair.pump()
        #expect(pair.serverEnd.text == "good")
        #expect(pair.serverEnd.errors.map(\.code) == [.protocolViolation])
        #expect(pair.clientEnd.errors.map(\.code) == [.refusedByPeer])
        #expect(pair.clientEnd.errors.first?.message.contains("bad record mac") == true)
        #expect(!pair.server.isActive && !pair.client.isActive)
    }

    @Test(arguments: 0..<60)
    func anyChangedBitIsRefused(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        let pair = try DataTests.connected()
        let bits = random.next()
        pair.tamper = { buffer in
            let index = Int(bits >> 3) % buffer.readableBytes
            let byte = buffer.getInteger(at: buffer.readerIndex + index, as: UInt8.self) ?? 0
            buffer.setInteger(byte ^ (1 << UInt8(bits & 7)), at: buffer.readerIndex + index)
        }
        pair.send("sixteen bytes of", from: pair.client)
        try pair.pump()
        // A longer length leaves the record incomplete: then nothing comes before the end.
        if pair.server.isActive { pair.server.pipeline.fireChannelInactive() }
        #expect(pair.serverEnd.text == "")
        #expect(pair.serverEnd.errors.count == 1)
    }

    @Test func garbageAfterTheHandshakeIsRefused() throws {
        let pair = try DataTests.connected()
        try pair.server.writeInbound(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"))
        #expect(pair.serverEnd.errors.map(\.code) == [.protocolViolation])
        #expect(!pair.server.isActive)
    }

    @Test func closingDuringTheHandshakeIsCounted() throws {
        let authority = try TestAuthority()
        let observer = CountingObserver()
        let pair = try TestPair(
            client: authority.client(),
            server: authority.server(),
            observer: observer
        )
        try pair.connect()
        pair.server.close(promise: nil)
        #expect(pair.serverEnd.errors.isEmpty)
        #expect(observer.counts == .init(started: 1, failed: [.handshakeInterrupted]))
    }
}
