import Foundation
import Glibc
import PrustSystemd
import Testing

@Suite struct ListenSocketTests {
    static let expected: [String: [ListenSocket.Family]] = [
        "client": [.tcp], "metrics": [.tcp, .unix], "admin": [.unix],
    ]

    /// A socket of a kind; closed by the caller.
    static func open(_ family: CInt, _ type: __socket_type, listening: Bool) throws -> CInt {
        let descriptor = socket(family, Int32(type.rawValue), 0)
        try #require(descriptor >= 0)
        guard listening else { return descriptor }
        if family == AF_UNIX {
            let path = FileManager.default.temporaryDirectory
                .appending(path: "prust-listen-\(getpid())-\(descriptor)").path()
            try #require(bindUnix(descriptor, path: path))
            unlink(path)
        }
        try #require(listen(descriptor, 1) == 0)
        return descriptor
    }

    @Test func listeningSocketsAreTaken() throws {
        let kinds: [(CInt, String, ListenSocket.Family)] = [
            (AF_INET, "client", .tcp), (AF_INET6, "client", .tcp), (AF_INET, "metrics", .tcp),
            (AF_UNIX, "metrics", .unix), (AF_UNIX, "admin", .unix),
        ]
        for (family, name, kind) in kinds {
            let descriptor = try Self.open(family, SOCK_STREAM, listening: true)
            defer { close(descriptor) }
            let taken = try ListenSocket.check(descriptor, name: name, expected: Self.expected)
            #expect(taken == ListenSocket(descriptor: descriptor, name: name, family: kind))
        }
    }

    static let bad: [(CInt, __socket_type, Bool, String, String)] = [
        (AF_INET, SOCK_STREAM, false, "client", "an Internet stream socket that is not listening"),
        (AF_INET6, SOCK_DGRAM, false, "client", "an Internet socket that is no stream socket"),
        (AF_UNIX, SOCK_STREAM, true, "client", "a Unix stream socket that is listening"),
        (AF_UNIX, SOCK_DGRAM, false, "admin", "a Unix socket that is no stream socket"),
        (AF_INET, SOCK_STREAM, true, "admin", "an Internet stream socket that is listening"),
    ]

    @Test(arguments: bad)
    func othersAreRefused(
        family: CInt,
        type: __socket_type,
        listening: Bool,
        name: String,
        found: String
    ) throws {
        let descriptor = try Self.open(family, type, listening: listening)
        defer { close(descriptor) }
        let error = #expect(throws: ListenSocketError.self) {
            try ListenSocket.check(descriptor, name: name, expected: Self.expected)
        }
        #expect(
            error?.description.hasPrefix("descriptor \(descriptor) (\(name))") == true
                && error?.description.contains(" is \(found); expected a listening ") == true
        )
    }

    @Test func whatIsNoSocketIsNamed() throws {
        let file = Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        #expect(
            throws: ListenSocketError.unexpected(
                file,
                name: "metrics",
                expected: ["a listening TCP socket", "a listening Unix stream socket"],
                found: "not a socket"
            )
        ) {
            try ListenSocket.check(file, name: "metrics", expected: Self.expected)
        }
        let error = #expect(throws: ListenSocketError.self) {
            try ListenSocket.check(999_999, name: "client", expected: Self.expected)
        }
        #expect(error?.description.contains("is not open; expected") == true)
    }

    @Test func unknownNamesAreRefused() {
        let error = #expect(throws: ListenSocketError.self) {
            try ListenSocket.check(0, name: "connection\n", expected: Self.expected)
        }
        #expect(
            error?.description
                == "descriptor 0 from the service manager is named \"connection\\n\"; "
                + "expected FileDescriptorName= to be one of admin, client, metrics"
        )
    }

    @Test func withoutSocketActivationThereAreNone() async {
        await #expect(processExitsWith: .exitCode(7)) {
            unsetenv("LISTEN_FDS")
            guard try ListenSocket.inherited(expected: [:]).isEmpty else { exit(1) }
            setenv("LISTEN_FDS", "3", 1)
            setenv("LISTEN_PID", "1", 1)
            // Meant for another process.
            exit(try ListenSocket.inherited(expected: [:]).isEmpty ? 7 : 2)
        }
    }

    @Test func socketsOfTheManagerAreFoundByName() async {
        // Descriptor 3 may be the test library's own: nothing may run after it is taken.
        await #expect(processExitsWith: .exitCode(7)) {
            let socket = try Self.open(AF_INET, SOCK_STREAM, listening: true)
            guard dup2(socket, 3) == 3 else { _exit(1) }
            setenv("LISTEN_FDS", "1", 1)
            setenv("LISTEN_PID", "\(getpid())", 1)
            setenv("LISTEN_FDNAMES", "client", 1)
            let sockets = try ListenSocket.inherited(expected: ["client": [.tcp]])
            let wanted = ListenSocket(descriptor: 3, name: "client", family: .tcp)
            guard sockets == [wanted], getenv("LISTEN_FDS") == nil else { _exit(2) }
            setenv("LISTEN_FDS", "nonsense", 1)
            setenv("LISTEN_PID", "\(getpid())", 1)
            do {
                _ = try ListenSocket.inherited(expected: [:])
            } catch ListenSocketError.environment {
                _exit(7)
            }
            _exit(3)
        }
    }
}
