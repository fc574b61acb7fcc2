import NIOCore
import NIOEmbedded
import NIOHTTP1
import PrustCore
import PrustServer

/// The admin API: bytes of HTTP through the whole pipeline, and requests straight to the router.
///
/// Properties: every request gets one well-formed answer and every error says what is wrong;
/// nobody without the verb `admin` changes or reads anything; what was answered as done is in the
/// audit trail; users and roles stay valid, in memory and on disk; and no connection outlives its
/// time limits.
package func fuzzAdmin(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    let flags = input.byte()
    let seed = UInt64(input.byte())
    let rest = input.rest()
    blocking {
        let world = await AdminWorld.make(isAdmin: flags & 1 == 0)
        if flags & 2 == 0 {
            await HTTPRun.run(rest, world, seed: seed)
        } else {
            await world.ask(AdminWorld.request(rest))
        }
        await world.checkAfterwards()
    }
}

/// One connection of the admin API, without a network.
private enum HTTPRun {
    static func run(_ stream: [UInt8], _ world: AdminWorld, seed: UInt64) async {
        let channel = NIOAsyncTestingChannel()
        let loop = channel.testingEventLoop
        let state = ExchangeState()
        await succeed("setting up a connection") {
            try await channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 8000)).get()
            try await loop.executeInContext {
                try configureAdminPipeline(channel, router: world.router, peer: world.peer)
                let operations = channel.pipeline.syncOperations
                let before = try operations.handler(type: HTTPServerPipelineHandler.self)
                try operations.addHandler(ExchangeSpy(state), position: .after(before))
            }
        }
        var random = SeededRandom(seed: seed)
        var position = 0
        while position < stream.count, channel.isActive {
            let byteCount = min(stream.count - position, 1 + Int(random.next() % 256))
            let piece = ByteBuffer(bytes: stream[position..<position + byteCount])
            position += byteCount
            // Errors of the pipeline close the connection; that is an answer too.
            _ = try? await channel.writeInbound(piece)
            await Self.wait(for: state, channel)
        }
        await Self.wait(for: state, channel)
        await loop.advanceTime(by: .minutes(10))
        check(!channel.isActive, "a connection outlives its time limits")
        await Self.checkOutput(of: channel)
        for exchange in state.exchanges { world.checkExchange(exchange) }
        _ = try? await channel.finish(acceptAlreadyClosed: true)
    }

    /// Waits until the answers that the service owes have been written.
    private static func wait(for state: ExchangeState, _ channel: NIOAsyncTestingChannel) async {
        let loop = channel.testingEventLoop
        while channel.isActive {
            await loop.run()
            // Asked on the loop: the end of an answer lets the next request in, and for a moment
            // in between neither is due.
            let isAnswerDue = try? await loop.executeInContext { state.isAnswerDue }
            guard isAnswerDue == true else { return }
            await Task.yield()
        }
    }

    private static func checkOutput(of channel: NIOAsyncTestingChannel) async {
        var output: [UInt8] = []
        while let part = try? await channel.readOutbound(as: ByteBuffer.self) {
            output += part.readableBytesView
        }
        check(
            output.isEmpty || output.starts(with: "HTTP/1.1 ".utf8),
            "no HTTP: \(String(decoding: output.prefix(40), as: UTF8.self))"
        )
    }
}
