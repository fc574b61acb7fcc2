import NIOCore
import Synchronization
import Testing

@testable import PrustDBClient

/// What becomes of calls when the server is slow, silent, gone or mad.
@Suite struct ClientFaultTests {
    static func isGreeting(_ command: [String]) -> Bool {
        ["HELLO", "CLIENT", "PING"].contains(command[0])
    }

    static func configuration(
        _ change: (inout ClientConfiguration) -> Void = { _ in }
    ) -> ClientConfiguration {
        var configuration = ClientConfiguration()
        configuration.backoffMin = .milliseconds(1)
        configuration.backoffMax = .milliseconds(2)
        change(&configuration)
        return configuration
    }

    /// A client of several nodes, with a password.
    static func connect(_ nodes: [NodeAddress]) async throws(ClientError) -> Client {
        try await Client.connect(
            nodes: nodes,
            dialer: Dialer(
                plainTextFor: (name: "me", password: "secret"),
                connectTimeout: .seconds(5)
            ),
            configuration: Self.configuration()
        )
    }

    @Test func silenceIsATimeoutWithTheRightOutcome() async throws {
        try await FakeServer.with { command, _ in
            Self.isGreeting(command) ? .greeting : .silence
        } body: { (client: Client, _: FakeServer) async throws in
            let write = await #expect(throws: ClientError.self) {
                try await client.set("k", "v", deadline: .milliseconds(20))
            }
            #expect(write?.code == .timeout)
            #expect(write?.outcome == .unknown)
            let read = await #expect(throws: ClientError.self) {
                try await client.get("k", deadline: .milliseconds(20))
            }
            #expect(read?.code == .timeout)
            #expect(read?.outcome == .notApplied)
        }
    }

    @Test func aLateReplyIsNotTakenForTheNextOne() async throws {
        let held = Mutex(0)
        try await FakeServer.with { command, _ in
            guard !Self.isGreeting(command) else { return .greeting }
            // The reply of the first command comes with that of the second.
            return held.withLock { count in
                count += 1
                return count == 1 ? .silence : .reply("$3\r\none\r\n$3\r\ntwo\r\n")
            }
        } body: { (client: Client, _: FakeServer) async throws in
            await #expect(throws: ClientError.self) {
                try await client.get("1", deadline: .milliseconds(20))
            }
            #expect(try await client.getString("2") == "two")
        }
    }

    @Test func aLongCallAtTheHeadDoesNotHideADeadConnection() async throws {
        let configuration = Self.configuration { $0.deadline = .milliseconds(500) }
        try await FakeServer.with(configuration: configuration) { command, connection in
            if Self.isGreeting(command) { return .greeting }
            return connection == 1 ? .silence : .reply("$1\r\nv\r\n")
        } body: { (client: Client, server: FakeServer) async throws in
            let long = Task { try await client.getString("long", deadline: .seconds(60)) }
            while server.commands.isEmpty { await Task.yield() }
            let error = await #expect(throws: ClientError.self) {
                try await client.get("k", deadline: .milliseconds(20))
            }
            #expect(error?.code == .timeout)
            #expect(try await long.value == "v", "it was repeated on another connection")
            #expect(server.connectionCount == 2)
        }
    }

    @Test func aShortCallBehindASlowOneEndsAlone() async throws {
        try await FakeServer.with { command, _ in
            Self.isGreeting(command) ? .greeting : .silence
        } body: { (client: Client, server: FakeServer) async throws in
            let slow = Task { try await client.getString("slow") }
            while server.commands.isEmpty { await Task.yield() }
            await #expect(throws: ClientError.self) {
                try await client.get("k", deadline: .milliseconds(20))
            }
            while server.commands.count < 2 { await Task.yield() }
            server.say("$4\r\nslow\r\n$1\r\nv\r\n")
            #expect(try await slow.value == "slow")
            #expect(server.connectionCount == 1)
        }
    }

    @Test func aSentWriteIsNeverRepeated() async throws {
        try await FakeServer.with(configuration: Self.configuration()) { command, _ in
            Self.isGreeting(command) ? .greeting : .close
        } body: { (client: Client, server: FakeServer) async throws in
            let error = await #expect(throws: ClientError.self) { try await client.set("k", "v") }
            #expect(error?.code == .connectionLost)
            #expect(error?.outcome == .unknown)
            #expect(server.commands == [["SET", "k", "v"]])
        }
    }

    @Test func aReadIsRepeatedUpToItsBound() async throws {
        try await FakeServer.with(configuration: Self.configuration()) { command, connection in
            if Self.isGreeting(command) { return .greeting }
            return connection < 3 ? .close : .reply("$1\r\nv\r\n")
        } body: { (client: Client, server: FakeServer) async throws in
            #expect(try await client.getString("k") == "v")
            #expect(server.commands.count == 3)
            #expect(server.connectionCount == 3)
        }
        try await FakeServer.with(configuration: Self.configuration { $0.readAttemptCountMax = 2 })
        { command, _ in
            Self.isGreeting(command) ? .greeting : .close
        } body: { (client: Client, server: FakeServer) async throws in
            let error = await #expect(throws: ClientError.self) { try await client.get("k") }
            #expect(error?.code == .connectionLost)
            #expect(error?.outcome == .notApplied)
            #expect(server.commands.count == 2)
        }
    }

    @Test func aBrokenConnectionIsReplaced() async throws {
        try await FakeServer.with(configuration: Self.configuration()) { command, connection in
            if Self.isGreeting(command) { return .greeting }
            return connection == 1 ? .close : .reply("+OK\r\n")
        } body: { (client: Client, _: FakeServer) async throws in
            await #expect(throws: ClientError.self) { try await client.set("k", "v") }
            #expect(try await client.set("k", "v"))
        }
    }

    @Test func garbageEndsTheConnectionNotTheClient() async throws {
        try await FakeServer.with(configuration: Self.configuration()) { command, connection in
            if Self.isGreeting(command) { return .greeting }
            return .reply(connection == 1 ? "!garbage\r\n" : "+OK\r\n")
        } body: { (client: Client, _: FakeServer) async throws in
            let error = await #expect(throws: ClientError.self) { try await client.set("k", "v") }
            #expect(error?.code == .protocolViolation)
            #expect(error?.outcome == .unknown)
            #expect(try await client.set("k", "v"))
        }
    }

    @Test func aReplyToNothingEndsTheConnection() async throws {
        try await FakeServer.with(configuration: Self.configuration()) { command, _ in
            Self.isGreeting(command) ? .greeting : .reply("+OK\r\n")
        } body: { (client: Client, server: FakeServer) async throws in
            server.say(">1\r\n+invalidate\r\n")
            #expect(try await client.set("k", "v"), "push data is no reply")
            #expect(server.connectionCount == 1)
            server.say("+OK\r\n")
            while server.connectionCount == 1 { try? await client.ping() }
            #expect(try await client.set("k", "v"))
        }
    }

    @Test func tooManyCallsFailAtOnce() async throws {
        let configuration = Self.configuration {
            $0.pipelineDepthMax = 1
            $0.connectionCountMax = 1
            $0.waitingCountMax = 1
        }
        try await FakeServer.with(configuration: configuration) { command, _ in
            Self.isGreeting(command) ? .greeting : .silence
        } body: { (client: Client, server: FakeServer) async throws in
            func write() -> Task<ClientError?, Never> {
                Task {
                    do throws(ClientError) {
                        try await client.set("k", "v", deadline: .milliseconds(200))
                        return nil
                    } catch { return error }
                }
            }
            // The first one fills the connection, then one waits and one is turned away.
            var tasks = [write()]
            while server.commands.isEmpty { await Task.yield() }
            tasks += [write(), write()]
            var outcomes: [ClientError] = []
            for task in tasks { if let error = await task.value { outcomes.append(error) } }
            #expect(outcomes.count { $0.code == .overloaded && $0.outcome == .notApplied } == 1)
            #expect(outcomes.count { $0.code == .timeout && $0.outcome == .notApplied } == 1)
            #expect(outcomes.count { $0.outcome == .unknown } == 1)
            #expect(server.commands.count == 1)
        }
    }

    @Test func cancellationEndsTheWait() async throws {
        try await FakeServer.with { command, _ in
            Self.isGreeting(command) ? .greeting : .silence
        } body: { (client: Client, server: FakeServer) async throws in
            let task = Task { try await client.set("k", "v") }
            while server.commands.isEmpty { await Task.yield() }
            task.cancel()
            let sent = await #expect(throws: ClientError.self) { try await task.value }
            #expect(sent?.code == .cancelled)
            #expect(sent?.outcome == .unknown)
            let early = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await client.set("k2", "v")
            }
            let unsent = await #expect(throws: ClientError.self) { try await early.value }
            #expect(unsent?.code == .cancelled)
            #expect(unsent?.outcome == .notApplied)
            #expect(server.commands.count == 1)
        }
    }

    @Test func closedClientsTakeNothing() async throws {
        try await FakeServer.with { command, _ in
            Self.isGreeting(command) ? .greeting : .reply("+OK\r\n")
        } body: { (client: Client, _: FakeServer) async throws in
            await client.close()
            let error = await #expect(throws: ClientError.self) { try await client.set("k", "v") }
            #expect(error?.code == .closed)
            #expect(error?.outcome == .notApplied)
        }
    }

    @Test func closeWaitsForCallsUnderWay() async throws {
        try await FakeServer.with { command, _ in
            Self.isGreeting(command) ? .greeting : .silence
        } body: { (client: Client, server: FakeServer) async throws in
            let task = Task { try await client.getString("k") }
            while server.commands.isEmpty { await Task.yield() }
            async let closed: Void = client.close()
            server.say("$4\r\nlate\r\n")
            #expect(try await task.value == "late")
            await closed
        }
    }

    @Test func refusedCredentialsAreToldAtOnce() async throws {
        let server = try await FakeServer.start { command, _ in
            command[0] == "HELLO" ? .reply("-WRONGPASS no such user\r\n") : .greeting
        }
        let error = await #expect(throws: ClientError.self) {
            try await server.connect(user: ("me", "secret"))
        }
        #expect(error?.code == .authenticationFailed)
        #expect(error?.message.contains("secret") == false)
        await server.stop()
    }

    @Test func aNodeThatRefusesTheCredentialsIsNotTheLast() async throws {
        let gone = try await FakeServer.start { command, _ in
            Self.isGreeting(command) ? .greeting : .close
        }
        let refusing = try await FakeServer.start { command, _ in
            command[0] == "HELLO" ? .reply("-WRONGPASS no such user\r\n") : .greeting
        }
        let server = try await FakeServer.start { command, _ in
            Self.isGreeting(command) ? .greeting : .reply("$1\r\nv\r\n")
        }
        let (first, second, third) = (gone.address, refusing.address, server.address)
        // The second node refuses during the first attempts, and when the first one goes away.
        for nodes in [[second, third], [first, second, third]] {
            let client = try await Self.connect(nodes)
            if nodes.first == first { await gone.stop() }
            #expect(try await client.getString("k") == "v")
            await client.close()
        }
        let error = await #expect(throws: ClientError.self) {
            try await Self.connect([second, first])
        }
        #expect(error?.code == .authenticationFailed, "what waiting does not mend is told")
        await refusing.stop()
        await server.stop()
    }

    @Test func userAndPasswordGoWithTheGreeting() async throws {
        let greetings = Mutex<[[String]]>([])
        let server = try await FakeServer.start { command, _ in
            greetings.withLock { $0.append(command) }
            return .greeting
        }
        let client = try await server.connect(user: ("me", "secret"))
        await client.close()
        await server.stop()
        #expect(
            greetings.withLock { $0.prefix(2) } == [
                ["HELLO", "3", "AUTH", "me", "secret"],
                ["CLIENT", "SETINFO", "LIB-NAME", "prustdb-swift"],
            ]
        )
    }

    @Test func nobodyThereIsToldAtOnce() async throws {
        let server = try await FakeServer.start { _, _ in .greeting }
        let port = server.port
        await server.stop()
        let error = await #expect(throws: ClientError.self) {
            try await Client.connect(
                nodes: [
                    NodeAddress(host: "127.0.0.1", port: port),
                    NodeAddress(host: "127.0.0.1", port: port),
                ],
                dialer: Dialer(plainTextFor: nil, connectTimeout: .seconds(5)),
                configuration: Self.configuration()
            )
        }
        #expect(error?.code == .connectionLost)
        #expect(error?.message.contains("127.0.0.1:\(port)") == true)
        #expect(error?.message.contains("refused") == true)
    }

    @Test func anotherNodeIsTriedWhenOneIsGone() async throws {
        let gone = try await FakeServer.start { _, _ in .greeting }
        let gonePort = gone.port
        await gone.stop()
        let server = try await FakeServer.start { _, _ in .greeting }
        let client = try await Client.connect(
            nodes: [
                NodeAddress(host: "127.0.0.1", port: gonePort),
                NodeAddress(host: "127.0.0.1", port: server.port),
            ],
            dialer: Dialer(plainTextFor: nil, connectTimeout: .seconds(5)),
            configuration: Self.configuration()
        )
        try await client.ping()
        await client.close()
        await server.stop()
    }

    @Test func concurrentCallsGetTheirOwnReplies() async throws {
        let configuration = Self.configuration {
            $0.connectionCountMax = 3
            $0.pipelineDepthMax = 16
        }
        try await FakeServer.with(configuration: configuration) { command, _ in
            if Self.isGreeting(command) { return .greeting }
            return .reply("$\(command[1].utf8.count)\r\n\(command[1])\r\n")
        } body: { (client: Client, server: FakeServer) async throws in
            let rightCount = try await withThrowingTaskGroup(of: Bool.self) { group in
                for index in 0..<2_000 {
                    group.addTask { try await client.getString("key-\(index)") == "key-\(index)" }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(rightCount == 2_000)
            #expect(server.connectionCount <= 3)
        }
    }

    @Test func largestValueGoesBothWays() async throws {
        let value = [UInt8](repeating: UInt8(ascii: "v"), count: 16 * 1024 * 1024)
        try await FakeServer.with { command, _ in
            if Self.isGreeting(command) { return .greeting }
            guard command[0] == "SET" else {
                return .reply(
                    "$\(value.count)\r\n" + String(decoding: value, as: UTF8.self) + "\r\n"
                )
            }
            return .reply(command[2].utf8.count == value.count ? "+OK\r\n" : "-ERR length\r\n")
        } body: { (client: Client, _: FakeServer) async throws in
            try await client.set("k", value, deadline: .seconds(60))
            #expect(try await client.get("k", deadline: .seconds(60)) == value)
        }
    }
}
