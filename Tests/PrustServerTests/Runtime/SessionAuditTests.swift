import NIOCore
import NIOEmbedded
import NIOPosix
import PrustCore
import PrustTelemetry
import Testing

@testable import PrustServer

/// What sessions give to the audit trail and to the metrics, over embedded channels.
@Suite struct SessionAuditTests {
    /// What the sessions of a node need: the users `root` (an administrator) and `eve`.
    private final class World {
        let engine: EngineFixture
        let table: AccessTable
        let verifier: PasswordVerifier
        let audit = RecordingAudit()
        let metrics = ServerMetrics(registry: MetricsRegistry())
        let services: SessionServices

        init(attemptsPerMinute: Int) throws {
            self.engine = try EngineFixture()
            self.table = AccessTable(
                try AccessDocumentTests.document([("root", ["admin"]), ("eve", ["readonly"])])
            )
            self.verifier = PasswordVerifier(attemptsPerMinute: attemptsPerMinute)
            self.services = SessionServices(
                engine: self.engine.engine,
                limits: SessionServices.Bounds(),
                access: AccessSnapshot(self.table),
                verifier: self.verifier,
                audit: self.audit,
                metrics: self.metrics,
                diskThreads: NIOThreadPool(numberOfThreads: 1),
                nodeDescription: SessionServices.NodeDescription(
                    nodeID: "n",
                    port: 1,
                    startedAt: MonotonicInstant(seconds: 0)
                )
            )
        }

        func connect(as name: String? = nil) throws -> Connection {
            let channel = EmbeddedChannel()
            let loop = LoopState(index: 0, eventLoop: channel.eventLoop, services: self.services)
            let session = RESPSession(loop: loop, address: "192.0.2.1", certificate: nil)
            try channel.pipeline.syncOperations.addHandler(session)
            session.principal = name.flatMap { self.table.principal($0, method: .certificate) }
            return Connection(channel: channel)
        }
    }

    private struct Connection {
        let channel: EmbeddedChannel

        func send(_ words: String...) throws {
            var text = "*\(words.count)\r\n"
            for word in words { text += "$\(word.utf8.count)\r\n\(word)\r\n" }
            try self.channel.writeInbound(ByteBuffer(string: text))
        }

        /// Lets the loop run; gives the replies that have left.
        func replies() throws -> String {
            self.channel.embeddedEventLoop.run()
            var text = ""
            while let part = try self.channel.readOutbound(as: ByteBuffer.self) {
                text += String(buffer: part)
            }
            return text
        }
    }

    /// Embedded loops stay on one thread, so the body does not wait for anything.
    private static func withWorld(
        attemptsPerMinute: Int = 10,
        _ body: (World) throws -> Void
    ) async throws {
        let world = try World(attemptsPerMinute: attemptsPerMinute)
        let result = Result { try body(world) }
        world.engine.stop()
        await world.verifier.stop()
        try result.get()
    }

    /// Refused at once, without a thread that looks at it.
    private static let badPassword = String(repeating: "x", count: Limits.passwordByteCountMax + 1)

    private static func login(who: String, isKnown: Bool, reason: String) -> AuditEvent {
        AuditEvent(
            who: who,
            isKnown: isKnown,
            method: .password,
            from: "192.0.2.1",
            action: "login",
            outcome: .denied,
            reason: reason
        )
    }

    @Test func whoLeavesBeforeTheAnswerHasTried() async throws {
        try await Self.withWorld { world in
            let connection = try world.connect()
            try connection.send("AUTH", "eve", Self.badPassword)
            connection.channel.pipeline.fireChannelInactive()
            #expect(try connection.replies() == "")
            let refused = Self.login(who: "eve", isKnown: true, reason: "wrong name or password")
            #expect(world.audit.take() == [refused])
            #expect(world.metrics.connection.logins[.refused]?.value == 1)
            _ = try connection.channel.finish()
            #expect(world.audit.take() == [])
        }
    }

    @Test func failedLoginsTellWhy() async throws {
        try await Self.withWorld(attemptsPerMinute: 1) { world in
            let connection = try world.connect()
            try connection.send("AUTH", "eve", Self.badPassword)
            #expect(try connection.replies().hasPrefix("-WRONGPASS "))
            try connection.send("AUTH", "eve", Self.badPassword)
            #expect(try connection.replies().hasPrefix("-ERR too many attempts"))
            try connection.send("HELLO", "3", "AUTH", "nobody", Self.badPassword)
            #expect(try connection.replies().hasPrefix("-WRONGPASS "))
            let expected = [
                Self.login(who: "eve", isKnown: true, reason: "wrong name or password"),
                Self.login(who: "eve", isKnown: true, reason: AuditEvent.throttled),
                Self.login(who: "nobody", isKnown: false, reason: "wrong name or password"),
            ]
            #expect(world.audit.take() == expected)
            #expect(world.metrics.connection.logins[.refused]?.value == 2)
            #expect(world.metrics.connection.logins[.throttled]?.value == 1)
            _ = try connection.channel.finish()
        }
    }

    @Test(arguments: [
        ("eve", AuditEvent.Outcome.denied, "-NOPERM ", 1),
        ("root", AuditEvent.Outcome.shown, "$", 0),
    ])
    func clientListIsRecorded(
        who: String,
        outcome: AuditEvent.Outcome,
        reply: String,
        deniedCount: Int
    ) async throws {
        try await Self.withWorld { world in
            let connection = try world.connect(as: who)
            try connection.send("CLIENT", "LIST")
            #expect(try connection.replies().hasPrefix(reply))
            let event = AuditEvent(
                who: who,
                method: .certificate,
                from: "192.0.2.1",
                action: "client|list",
                outcome: outcome
            )
            #expect(world.audit.take() == [event])
            let sample = "prustdb_commands_total{command=\"client\",outcome=\"denied\"} "
            #expect(world.metrics.registry.exposition().contains(sample + "\(deniedCount)\n"))
            _ = try connection.channel.finish()
        }
    }

    @Test func helloWithoutLoginIsCountedOnly() async throws {
        try await Self.withWorld { world in
            let connection = try world.connect()
            try connection.send("HELLO")
            #expect(try connection.replies().hasPrefix("-NOAUTH "))
            #expect(world.metrics.unauthenticatedCommands.value == 1)
            #expect(world.audit.take() == [])
            _ = try connection.channel.finish()
        }
    }
}
