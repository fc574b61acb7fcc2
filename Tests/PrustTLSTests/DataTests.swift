import NIOCore
import NIOEmbedded
import PrustCore
import Testing

@testable import PrustTLS

@Suite struct DataTests {
    static func connected(
        clientSettings: TLSSettings = .init(),
        serverSettings: TLSSettings = .init()
    ) throws -> TestPair {
        let authority = try TestAuthority()
        let pair = try TestPair(
            client: authority.client(),
            server: authority.server(),
            clientSettings: clientSettings,
            serverSettings: serverSettings
        )
        try pair.run()
        return pair
    }

    @Test func smallWritesShareOneRecord() throws {
        let pair = try Self.connected()
        for index in 0..<10 {
            pair.client.write(ByteBuffer(string: "reply \(index);"), promise: nil)
        }
        #expect(try pair.client.readOutbound(as: ByteBuffer.self) == nil)
        pair.client.flush()
        let buffer = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        // 80 bytes, a header of 5, a content type of 1 and a tag of 16.
        #expect(buffer.readableBytes == 80 + 22)
        #expect(try pair.client.readOutbound(as: ByteBuffer.self) == nil)
        try pair.server.writeInbound(buffer)
        #expect(pair.serverEnd.received.count == 1)
        #expect(pair.serverEnd.text.hasPrefix("reply 0;reply 1;"))
    }

    /// Every combination of write sizes arrives whole and in order, one buffer a flush.
    @Test(arguments: [
        [1], [4095], [4096], [16_383], [16_384], [16_385], [40_000, 1], [1, 40_000, 1],
        [4095, 4095, 4095, 4095, 4095], [0, 5, 0], [16_384, 16_384],
        [3000, 3000, 9000, 3000, 8000],
    ])
    func writesOfAllSizes(sizes: [Int]) throws {
        let pair = try Self.connected()
        let before = pair.clientToServerBufferCount
        for (index, size) in sizes.enumerated() {
            let buffer = ByteBuffer(repeating: UInt8(index + 1), count: size)
            pair.client.write(buffer, promise: nil)
        }
        pair.client.flush()
        try pair.pump()
        #expect(pair.clientToServerBufferCount == before + 1)
        var all = ByteBuffer()
        for buffer in pair.serverEnd.received { all.writeImmutableBuffer(buffer) }
        var expected = ByteBuffer()
        for (index, size) in sizes.enumerated() {
            expected.writeRepeatingByte(UInt8(index + 1), count: size)
        }
        #expect(all == expected)
        pair.expectNoErrors()
    }

    @Test func severalRecordsAreOneRead() throws {
        let pair = try Self.connected()
        var wire = ByteBuffer()
        for index in 0..<5 {
            pair.send("part \(index);", from: pair.client)
            var piece = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
            wire.writeBuffer(&piece)
        }
        try pair.server.writeInbound(wire)
        #expect(pair.serverEnd.received.count == 1)
        #expect(pair.serverEnd.text == "part 0;part 1;part 2;part 3;part 4;")
    }

    @Test func readsThatAreKeptStayAsTheyWere() throws {
        let pair = try Self.connected()
        for index in 0..<20 {
            pair.send("message \(index)", from: pair.client)
            try pair.pump()
        }
        let expected = (0..<20).map { "message \($0)" }
        #expect(pair.serverEnd.received.map { String(buffer: $0) } == expected)
    }

    @Test func twentyMegabytesBothWays() throws {
        let pair = try Self.connected()
        pair.serverEnd.echoes = true
        pair.serverEnd.keepsBytes = false
        var random = SeededRandom(seed: 20)
        var data = ByteBuffer()
        for _ in 0..<20 * 1024 * 1024 / 8 { data.writeInteger(random.next()) }
        pair.client.writeAndFlush(data, promise: nil)
        pair.pieceByteCount = 65_536
        try pair.pump()
        var back = ByteBuffer()
        for buffer in pair.clientEnd.received { back.writeImmutableBuffer(buffer) }
        #expect(back == data)
        pair.expectNoErrors()
    }

    @Test func promisesComplete() throws {
        let pair = try Self.connected()
        let promises = (0..<4).map { _ in pair.loop.makePromise(of: Void.self) }
        var doneCount = 0
        for promise in promises {
            promise.futureResult.assumeIsolated().whenSuccess { doneCount += 1 }
        }
        pair.client.write(ByteBuffer(string: "a"), promise: promises[0])
        pair.client.write(ByteBuffer(repeating: 1, count: 50_000), promise: promises[1])
        pair.client.write(ByteBuffer(), promise: promises[2])
        pair.loop.run()
        #expect(doneCount == 0)
        pair.client.flush()
        pair.loop.run()
        #expect(doneCount == 3)
        pair.client.writeAndFlush(ByteBuffer(), promise: promises[3])
        pair.loop.run()
        #expect(doneCount == 4)
    }

    @Test func promisesFailWhenTheConnectionDoes() throws {
        let authority = try TestAuthority()
        let pair = try TestPair(client: authority.client(), server: authority.server())
        try pair.connect()
        let first = pair.loop.makePromise(of: Void.self)
        let second = pair.loop.makePromise(of: Void.self)
        var failures: [TLSError.Code] = []
        for promise in [first, second] {
            promise.futureResult.assumeIsolated().whenFailure { error in
                if let error = error as? TLSError { failures.append(error.code) }
            }
        }
        pair.server.write(ByteBuffer(string: "early"), promise: first)
        pair.server.writeAndFlush(ByteBuffer(string: "early"), promise: second)
        pair.loop.advanceTime(by: .seconds(10))
        pair.loop.run()
        #expect(failures == [.handshakeTimedOut, .handshakeTimedOut])
        let late = pair.server.writeAndFlush(ByteBuffer(string: "late"))
        #expect(throws: ChannelError.ioOnClosedChannel) { try late.wait() }
    }

    @Test func earlyWritesWaitForTheHandshake() throws {
        let authority = try TestAuthority()
        let pair = try TestPair(client: authority.client(), server: authority.server())
        var isDone = false
        let promise = pair.loop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenSuccess { isDone = true }
        pair.client.write(ByteBuffer(string: "early "), promise: promise)
        try pair.connect()
        pair.client.writeAndFlush(ByteBuffer(string: "bird"), promise: nil)
        pair.loop.run()
        #expect(!isDone)
        try pair.pump()
        #expect(pair.serverEnd.text == "early bird")
        #expect(isDone)
        #expect(pair.serverEnd.trace == ["completed", "read"])
    }

    @Test(arguments: [(0, true), (1, false)])
    func earlyWritesAreBounded(excess: Int, isFine: Bool) throws {
        let authority = try TestAuthority()
        let pair = try TestPair(
            client: authority.client(),
            server: authority.server(),
            clientSettings: .init(earlyWriteByteCountMax: 1000)
        )
        try pair.connect()
        pair.client.write(ByteBuffer(repeating: 1, count: 600), promise: nil)
        pair.client.write(ByteBuffer(repeating: 1, count: 400 + excess), promise: nil)
        #expect(pair.clientEnd.errors.map(\.code) == (isFine ? [] : [.earlyWritesTooLarge]))
        #expect(pair.client.isActive == isFine)
    }

    @Test func nothingIsDeliveredThatNobodyAskedFor() throws {
        let authority = try TestAuthority()
        let pair = try TestPair(client: authority.client(), server: authority.server())
        pair.serverTLS.readsAutomatically = false
        try pair.run()
        #expect(pair.serverEnd.completed.count == 1)
        pair.send("one", from: pair.client)
        pair.send("two", from: pair.client)
        try pair.pump()
        #expect(pair.serverEnd.text == "")
        pair.server.read()
        #expect(pair.serverEnd.text == "onetwo")
        #expect(pair.serverEnd.readCompleteCount == 1)
        // Asked before it comes: delivered at once, and only once.
        pair.server.read()
        pair.send("three", from: pair.client)
        try pair.pump()
        #expect(pair.serverEnd.text == "onetwothree")
        pair.send("four", from: pair.client)
        try pair.pump()
        #expect(pair.serverEnd.text == "onetwothree")
        pair.client.close(promise: nil)
        try pair.pump()
        pair.server.pipeline.fireChannelInactive()
        #expect(pair.serverEnd.text == "onetwothreefour")
        pair.expectNoErrors()
    }

    /// Counts the reads that reach the transport.
    final class ReadCounter: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var count = 0
        func read(context: ChannelHandlerContext) {
            self.count += 1
            context.read()
        }
    }

    @Test func readsThatBringNoPlaintextAreRepeated() throws {
        let pair = try Self.connected()
        let counter = ReadCounter()
        try pair.server.pipeline.syncOperations.addHandler(counter, position: .first)
        pair.serverTLS.readsAutomatically = false
        pair.server.read()
        #expect(counter.count == 1)
        pair.send("whole", from: pair.client)
        var wire = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        let part = wire.readSlice(length: 10) ?? ByteBuffer()
        try pair.server.writeInbound(part)
        #expect(counter.count == 2)
        try pair.server.writeInbound(wire)
        #expect(pair.serverEnd.text == "whole")
        #expect(counter.count == 2)
    }

    @Test func keysChangeWithoutNotice() throws {
        let settings = TLSSettings(rekeyRecordCount: 3)
        let pair = try Self.connected(clientSettings: settings, serverSettings: settings)
        pair.serverEnd.echoes = true
        var expected = ""
        for index in 0..<20 {
            pair.send("message \(index);", from: pair.client)
            expected += "message \(index);"
            try pair.pump()
        }
        pair.client.writeAndFlush(ByteBuffer(repeating: 65, count: 100_000), promise: nil)
        expected += String(repeating: "A", count: 100_000)
        try pair.pump()
        #expect(pair.clientEnd.text == expected)
        pair.expectNoErrors()
    }

    /// An answer to a key update is a record of 27 bytes; 4 KiB of them, 151, may wait.
    ///
    /// OpenSSL gives the first answer of a server only with the second.
    @Test(arguments: [(152, true), (153, false)])
    func keyUpdatesOfAPeerThatDoesNotReadAreBounded(count: Int, isFine: Bool) throws {
        let pair = try Self.connected()
        let before = pair.serverToClientBufferCount
        pair.server.isWritable = false
        for _ in 0..<count {
            pair.clientTLS.connection?.updateKey(isAnswerWanted: true)
            pair.send("x", from: pair.client)
            while let buffer = try pair.client.readOutbound(as: ByteBuffer.self) {
                try pair.server.writeInbound(buffer)
            }
        }
        #expect(pair.serverEnd.errors.map(\.code) == (isFine ? [] : [.protocolViolation]))
        #expect(pair.server.isActive == isFine)
        try pair.pump()
        // Every answer went out by itself, and the client could read them all.
        #expect(pair.serverToClientBufferCount == before + count - 1)
        #expect(pair.clientEnd.errors.isEmpty)
    }

    @Test func keyUpdatesOfAPeerThatReadsAreNot() throws {
        let pair = try Self.connected()
        pair.serverEnd.echoes = true
        for _ in 0..<500 {
            pair.clientTLS.connection?.updateKey(isAnswerWanted: true)
            pair.send("x", from: pair.client)
            try pair.pump()
        }
        #expect(pair.clientEnd.text == String(repeating: "x", count: 500))
        pair.expectNoErrors()
    }
}
