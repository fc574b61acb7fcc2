import Synchronization
import Testing

@testable import PrustDBClient

/// What each method puts on the wire and what it makes of the answer.
@Suite struct ClientCommandTests {
    /// Answers commands in turn with these replies.
    static func exchange(
        _ replies: String...,
        body: (Client) async throws -> Void
    ) async throws -> [[String]] {
        var commands: [[String]] = []
        let rest = Replies(replies)
        try await FakeServer.with { command, _ in
            ["HELLO", "CLIENT", "PING"].contains(command[0]) ? .greeting : .reply(rest.next())
        } body: { (client: Client, server: FakeServer) async throws in
            try await body(client)
            commands = server.commands
        }
        return commands
    }

    @Test func getAndGetString() async throws {
        let commands = try await Self.exchange(
            "$2\r\n\u{1}b\r\n",
            "_\r\n",
            "$-1\r\n",
            "$2\r\nhi\r\n",
            "_\r\n",
            "+x\r\n"
        ) { (client: Client) async throws in
            #expect(try await client.get("k") == [1, 98])
            #expect(try await client.get("k", level: .eventual) == nil)
            #expect(try await client.get([0x6B] as [UInt8]) == nil)
            #expect(try await client.getString("k", level: .all) == "hi")
            #expect(try await client.getString("k") == nil)
            #expect(try await client.get("k") == Array("x".utf8))
        }
        #expect(
            commands == [
                ["GET", "k"], ["AT", "eventual", "GET", "k"], ["GET", "k"],
                ["AT", "all", "GET", "k"], ["GET", "k"], ["GET", "k"],
            ]
        )
    }

    @Test func setInAllForms() async throws {
        let commands = try await Self.exchange(
            "+OK\r\n",
            "+OK\r\n",
            "+OK\r\n",
            "+OK\r\n",
            "_\r\n",
            "$-1\r\n",
            "+OK\r\n",
            "+OK\r\n"
        ) { (client: Client) async throws in
            #expect(try await client.set("k", "v"))
            #expect(try await client.set("k", [1, 2] as [UInt8], level: .quorum))
            #expect(try await client.set("k", "v", expiry: .after(.milliseconds(1_500))))
            #expect(try await client.set("k", "v", expiry: .at(unixMilliseconds: 7)))
            #expect(try await !client.set("k", "v", expiry: .keep, condition: .ifPresent))
            #expect(try await !client.set("k", "v", condition: .ifAbsent))
            #expect(try await client.set("k", "v", condition: .ifEqual("old".utf8)))
            let text: Substring = "sub"
            #expect(
                try await client.set(
                    text.utf8,
                    [9] as ArraySlice<UInt8>,
                    expiry: .after(.nanoseconds(1)),
                    condition: .ifEqual([])
                )
            )
        }
        #expect(
            commands == [
                ["SET", "k", "v"],
                ["AT", "quorum", "SET", "k", "\u{1}\u{2}"],
                ["SET", "k", "v", "PX", "1500"],
                ["SET", "k", "v", "PXAT", "7"],
                ["SET", "k", "v", "XX", "KEEPTTL"],
                ["SET", "k", "v", "NX"],
                ["SET", "k", "v", "IFEQ", "old"],
                ["SET", "sub", "\t", "IFEQ", "", "PX", "1"],
            ]
        )
    }

    @Test func compareAndSet() async throws {
        let commands = try await Self.exchange("+OK\r\n", "_\r\n", "+OK\r\n") {
            (client: Client) async throws in
            #expect(try await client.compareAndSet("k", expected: "a", new: "b"))
            #expect(try await !client.compareAndSet("k", expected: nil, new: "b"))
            #expect(
                try await client.compareAndSet(
                    "k".utf8,
                    expected: [0x61],
                    new: "b".utf8,
                    expiry: .after(.seconds(2))
                )
            )
        }
        #expect(
            commands == [
                ["SET", "k", "b", "IFEQ", "a"], ["SET", "k", "b", "NX"],
                ["SET", "k", "b", "IFEQ", "a", "PX", "2000"],
            ]
        )
    }

    @Test func keysAndCounters() async throws {
        let commands = try await Self.exchange(
            ":1\r\n",
            ":0\r\n",
            ":1\r\n",
            ":1\r\n",
            ":-4\r\n",
            ":7\r\n"
        ) { (client: Client) async throws in
            #expect(try await client.delete("k"))
            #expect(try await !client.delete("k", level: .quorum))
            #expect(try await client.exists("k"))
            #expect(try await client.increment("n") == 1)
            #expect(try await client.increment("n", by: -5) == -4)
            #expect(try await client.append("k", "tail") == 7)
        }
        #expect(
            commands == [
                ["DEL", "k"], ["AT", "quorum", "DEL", "k"], ["EXISTS", "k"],
                ["INCRBY", "n", "1"], ["INCRBY", "n", "-5"], ["APPEND", "k", "tail"],
            ]
        )
    }

    @Test func expiryOfKeys() async throws {
        let commands = try await Self.exchange(
            ":1\r\n",
            ":0\r\n",
            ":1\r\n",
            ":-2\r\n",
            ":-1\r\n",
            ":1500\r\n"
        ) { (client: Client) async throws in
            #expect(try await client.expire("k", .after(.seconds(30))))
            #expect(try await !client.expire("k", .at(unixMilliseconds: 99)))
            #expect(try await client.expire("k", nil))
            #expect(try await client.timeToLive("k") == .missing)
            #expect(try await client.timeToLive("k") == .endless)
            #expect(try await client.timeToLive("k") == .remaining(.milliseconds(1_500)))
        }
        #expect(
            commands == [
                ["PEXPIRE", "k", "30000"], ["PEXPIREAT", "k", "99"], ["PERSIST", "k"],
                ["PTTL", "k"], ["PTTL", "k"], ["PTTL", "k"],
            ]
        )
    }

    @Test func manyKeys() async throws {
        let commands = try await Self.exchange(
            "*3\r\n$1\r\na\r\n_\r\n$0\r\n\r\n",
            "+OK\r\n",
            ":2\r\n"
        ) { (client: Client) async throws in
            #expect(try await client.getMany(["x", "y", "z"]) == [[0x61], nil, []])
            #expect(try await client.getMany([String]()) == [])
            try await client.setMany([("x", "1"), ("y", "2")], level: .all)
            try await client.setMany([(String, String)]())
            #expect(try await client.deleteMany(["x", "y"]) == 2)
            #expect(try await client.deleteMany([String]()) == 0)
        }
        #expect(
            commands == [
                ["MGET", "x", "y", "z"], ["AT", "all", "MSET", "x", "1", "y", "2"],
                ["DEL", "x", "y"],
            ]
        )
    }

    @Test func scanGoesThroughAllPages() async throws {
        let commands = try await Self.exchange(
            "*2\r\n$2\r\n17\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
            "*2\r\n$2\r\n18\r\n*0\r\n",
            "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n"
        ) { (client: Client) async throws in
            var keys: [String] = []
            for try await key in client.scan(match: "x*", count: 2) {
                keys.append(String(decoding: key, as: UTF8.self))
            }
            #expect(keys == ["a", "b", "c"])
        }
        #expect(
            commands == [
                ["SCAN", "0", "MATCH", "x*", "COUNT", "2"],
                ["SCAN", "17", "MATCH", "x*", "COUNT", "2"],
                ["SCAN", "18", "MATCH", "x*", "COUNT", "2"],
            ]
        )
    }

    static let errors: [(line: String, code: ClientError.Code, outcome: ClientError.Outcome)] = [
        ("ERR no", .serverError, .notApplied),
        ("WRONGTYPE no", .wrongType, .notApplied),
        ("NOAUTH no", .authenticationFailed, .notApplied),
        ("WRONGPASS no", .authenticationFailed, .notApplied),
        ("NOPERM no", .permissionDenied, .notApplied),
        ("NOTAPPLIED disk full", .notApplied, .notApplied),
        ("UNKNOWN no quorum answered", .unknownOutcome, .unknown),
        ("LOADING no", .serverError, .notApplied),
    ]

    @Test(arguments: errors)
    func serverErrors(
        line: String,
        code: ClientError.Code,
        outcome: ClientError.Outcome
    ) async throws {
        _ = try await Self.exchange("-\(line)\r\n", "-\(line)\r\n") {
            (client: Client) async throws in
            var error = await #expect(throws: ClientError.self) { try await client.set("k", "v") }
            #expect(error?.code == code)
            #expect(error?.outcome == outcome)
            #expect(error?.message == line)
            error = await #expect(throws: ClientError.self) { try await client.get("k") }
            #expect(error?.code == code)
            #expect(error?.outcome == .notApplied, "a read changes nothing")
        }
    }

    @Test func unexpectedReplies() async throws {
        _ = try await Self.exchange(
            ":1\r\n",
            "+x\r\n",
            "*1\r\n_\r\n",
            ":-7\r\n",
            "$1\r\n\u{7F}\r\n"
        ) {
            (client: Client) async throws in
            let set = await #expect(throws: ClientError.self) { try await client.set("k", "v") }
            #expect(set?.code == .protocolViolation)
            #expect(set?.outcome == .applied, "it was answered, and not by an error")
            let count = await #expect(throws: ClientError.self) { try await client.exists("k") }
            #expect(count?.outcome == .notApplied)
            let many = await #expect(throws: ClientError.self) {
                try await client.getMany(["a", "b"])
            }
            #expect(many?.code == .protocolViolation)
            let left = await #expect(throws: ClientError.self) { try await client.timeToLive("k") }
            #expect(left?.code == .protocolViolation)
            #expect(try await client.getString("k") == "\u{7F}")
        }
    }

    @Test func argumentsAreCheckedBeforeAnythingIsSent() async throws {
        let commands = try await Self.exchange("+OK\r\n") { (client: Client) async throws in
            let longKey = String(repeating: "k", count: 4_097)
            let rows: [(ClientError.Code, () async throws -> Void)] = [
                (.tooLarge, { _ = try await client.get(longKey) }),
                (.tooLarge, { try await client.set(longKey, "v") }),
                (
                    .tooLarge,
                    {
                        try await client.set(
                            "k",
                            [UInt8](repeating: 0, count: 16 * 1024 * 1024 + 1)
                        )
                    }
                ),
                (
                    .tooLarge,
                    {
                        _ = try await client.getMany(Array(repeating: "k", count: 65_534))
                    }
                ),
                (.invalidArgument, { try await client.set("k", "v", expiry: .after(.zero)) }),
                (
                    .invalidArgument,
                    {
                        try await client.set("k", "v", expiry: .at(unixMilliseconds: 0))
                    }
                ),
                (.invalidArgument, { try await client.expire("k", .keep) }),
                (.invalidConfiguration, { _ = try await client.get("k", deadline: .zero) }),
            ]
            for (index, (code, call)) in rows.enumerated() {
                let error = await #expect(throws: ClientError.self) { try await call() }
                #expect(error?.code == code, "row \(index)")
                #expect(error?.outcome == .notApplied)
            }
            try await client.set(String(repeating: "k", count: 4_096), "v")
        }
        #expect(commands.count == 1)
    }
}

/// Replies that are given out one by one.
final class Replies: Sendable {
    private let rest: Mutex<[String]>

    init(_ replies: [String]) {
        self.rest = Mutex(replies.reversed())
    }

    func next() -> String { self.rest.withLock { $0.popLast() } ?? "-ERR no reply left\r\n" }
}
