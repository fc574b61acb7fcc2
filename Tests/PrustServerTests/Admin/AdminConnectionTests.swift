import Foundation
import Glibc
import NIOCore
import NIOPosix
import PrustCore
import PrustTLS
import Testing

@testable import PrustServer

/// The admin API over real sockets, as `prustadm` and `curl` use it.
@Suite struct AdminConnectionTests {
    struct Probes: ProbeSource {
        func metrics() -> String { "prustdb_up 1\n" }
        func health() -> ProbeAnswer { ProbeAnswer(isGood: true, text: "ok") }
        func readiness() -> ProbeAnswer { ProbeAnswer(isGood: false, text: "recovering") }
    }

    /// Not the one that other tests keep busy with megabytes.
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    static func withSocket(
        _ body: (AdminFixture, String) async throws -> Void
    ) async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fixture = try AdminFixture(directory)
            let path = directory + "/admin.sock"
            let router = fixture.router
            try AdminSocket.prepare(path: path)
            let server = try await ServerBootstrap(group: Self.group)
                .childChannelInitializer { configureAdminSocketPipeline($0, router: router) }
                .bind(unixDomainSocketPath: path).get()
            try AdminSocket.setPermissions(path: path)
            do {
                try await body(fixture, path)
            } catch {
                Issue.record(error)
            }
            try await server.close()
        }
    }

    /// Sends bytes and gives everything that comes back until the connection ends.
    static func exchange(_ path: String, _ text: String) async throws -> String {
        let loop = Self.group.next()
        let promise = loop.makePromise(of: String.self)
        let channel = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(promise: promise))
                }
            }
            .connect(unixDomainSocketPath: path).get()
        try await channel.writeAndFlush(ByteBuffer(string: text)).get()
        return try await promise.futureResult.get()
    }

    final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let promise: EventLoopPromise<String>
        private var text = ""

        init(promise: EventLoopPromise<String>) { self.promise = promise }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            self.text += String(buffer: self.unwrapInboundIn(data))
        }

        func channelInactive(context: ChannelHandlerContext) { self.promise.succeed(self.text) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    @Test func requestsOverTheSocket() async throws {
        try await Self.withSocket { fixture, path in
            let client = AdminClient(.socket(path: path))
            let status = try await client.send("GET", "/v1/status")
            let report = AdminJSON.decodeAnswer(StatusReport.self, from: status)
            #expect(report?.version == "1.2.3")
            let body = AdminJSON.encode(
                UserCreation(name: "bob", roles: ["readonly"], password: "password1")
            )
            _ = try await client.send("POST", "/v1/users", body: body)
            #expect(fixture.store.users.map(\.name) == ["admin", "bob"])
            let event = try #require(fixture.audit.take().first)
            #expect(event.who == "uid=\(getuid())")
            #expect(event.method == .socket)
            #expect(event.from == "unix pid=\(getpid()) gid=\(getgid())")
            let refused = await #expect(throws: AdminClient.Failure.self) {
                try await client.send("DELETE", "/v1/users/admin")
            }
            #expect(refused?.kind == .refused)
            #expect(refused?.message.contains("last enabled user") == true)
        }
    }

    @Test func rawRequests() async throws {
        let table: [(request: String, beginnings: [String])] = [
            ("GET /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n", ["HTTP/1.1 200 OK"]),
            ("GET /v1/status?x=y HTTP/1.0\r\n\r\n", ["HTTP/1.1 200 OK"]),
            (
                "GET /v1/none HTTP/1.1\r\n\r\nGET /v1/roles HTTP/1.1\r\nConnection: close\r\n\r\n",
                ["HTTP/1.1 404 Not Found", "HTTP/1.1 200 OK"]
            ),
            ("garbage\r\n\r\n", ["HTTP/1.1 400 Bad Request"]),
            (
                "POST /v1/users HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n",
                ["HTTP/1.1 413 Payload Too Large"]
            ),
            (
                "POST /v1/users HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                ["HTTP/1.1 400 Bad Request"]
            ),
            (
                "POST /v1/users HTTP/1.1\r\nContent-Length: 5\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n",
                ["HTTP/1.1 400 Bad Request"]
            ),
            (
                "PATCH /v1/users HTTP/1.1\r\nConnection: close\r\n\r\n",
                ["HTTP/1.1 405 Method Not Allowed"]
            ),
            (
                "POST /v1/users HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
                    + "Connection: close\r\n\r\n{}",
                ["HTTP/1.1 100 Continue", "HTTP/1.1 400 Bad Request"]
            ),
        ]
        try await Self.withSocket { _, path in
            for (request, beginnings) in table {
                let text = try await Self.exchange(path, request)
                let lines = text.split(whereSeparator: \.isNewline).filter {
                    $0.hasPrefix("HTTP/1.1 ")
                }
                #expect(lines.map(String.init) == beginnings, "\(request)")
            }
        }
    }

    @Test func chunkedBodyPastTheBound() async throws {
        try await Self.withSocket { fixture, path in
            let chunk = "10000\r\n" + String(repeating: "x", count: 65_536) + "\r\n"
            let head = "POST /v1/users HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            let text = try await Self.exchange(path, head + String(repeating: chunk, count: 17))
            #expect(text.hasPrefix("HTTP/1.1 413"))
            #expect(fixture.audit.take() == [])
        }
    }

    @Test func socketFiles() async throws {
        try await Self.withSocket { _, path in
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o660)
            // Somebody listens: it must not be taken away.
            #expect(throws: AdminSocket.Failure.self) { try AdminSocket.prepare(path: path) }
        }
        try await AccessStoreTests.withDirectory { directory in
            let file = directory + "/file"
            try Data().write(to: URL(filePath: file))
            #expect(throws: AdminSocket.Failure.self) { try AdminSocket.prepare(path: file) }
            let stale = directory + "/stale"
            // A process that is killed leaves its socket behind, as this descriptor does.
            try Self.leaveSocket(stale)
            #expect(FileManager.default.fileExists(atPath: stale))
            try AdminSocket.prepare(path: stale)
            #expect(!FileManager.default.fileExists(atPath: stale))
            try AdminSocket.prepare(path: stale)
        }
    }

    static func leaveSocket(_ path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { target in
            for (index, byte) in path.utf8.enumerated() { target[index] = byte }
        }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(result == 0)
    }

    @Test func nobodyThere() async throws {
        let client = AdminClient(.socket(path: "/no/such/admin.sock"))
        let failure = await #expect(throws: AdminClient.Failure.self) {
            try await client.send("GET", "/v1/status")
        }
        #expect(failure?.kind == .cannotReach)
        #expect(failure?.message.contains("is the node running") == true)
    }

    @Test func nobodyThereOverTCP() async throws {
        try await AccessStoreTests.withDirectory { directory in
            _ = try AdminFixture(directory)
            // A port that was free a moment ago.
            let server = try await ServerBootstrap(group: Self.group)
                .bind(host: "127.0.0.1", port: 0).get()
            let port = try #require(server.localAddress?.port)
            try await server.close()
            let files = ClientFiles(directory: directory + "/client")
            let client = AdminClient(
                .node(
                    Endpoint(host: "127.0.0.1", port: port),
                    authority: files.authority,
                    certificate: files.certificate,
                    key: files.key
                )
            )
            let failure = await #expect(throws: AdminClient.Failure.self) {
                try await client.send("POST", "/v1/reload")
            }
            #expect(failure?.kind == .cannotReach)
            #expect(failure?.message.contains("nothing listens there") == true)
        }
    }

    @Test func probes() {
        let table: [(method: String, path: String, status: Int, text: String)] = [
            ("GET", "/metrics", 200, "prustdb_up 1\n"), ("HEAD", "/metrics", 200, "prustdb_up 1\n"),
            ("GET", "/healthz", 200, "ok\n"), ("GET", "/readyz", 503, "recovering\n"),
            ("POST", "/metrics", 405, "only GET and HEAD\n"),
            ("GET", "/", 404, "there are /metrics, /healthz and /readyz here\n"),
        ]
        for (method, path, status, text) in table {
            let response = ProbeResponder.answer(
                AdminRequest(method: method, path: path),
                source: Probes()
            )
            #expect(response.status == status)
            #expect(String(decoding: response.body, as: UTF8.self) == text)
        }
    }

    @Test func overTLSWithTheFoundersCertificate() async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fixture = try AdminFixture(directory)
            let node = DataDirectory(fixture.directory)
            let material = try TLSMaterial.load(
                certificateFile: node.nodeCertificate,
                keyFile: node.nodeKey,
                caFile: node.trust,
                role: .node,
                now: AdminFixture.now
            )
            let context = try TLSContext.server(
                material: material,
                applicationProtocols: ["http/1.1"],
                clientCertificates: .required
            )
            let router = fixture.router
            let server = try await ServerBootstrap(group: Self.group)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let operations = channel.pipeline.syncOperations
                        try operations.addHandler(TLSHandler(context: context))
                        try operations.addHandler(Acceptor(router: router))
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let port = try #require(server.localAddress?.port)
            let files = ClientFiles(directory: directory + "/client")
            let client = AdminClient(
                .node(
                    Endpoint(host: "127.0.0.1", port: port),
                    authority: files.authority,
                    certificate: files.certificate,
                    key: files.key
                )
            )
            let body = try await client.send("GET", "/v1/status")
            #expect(AdminJSON.decodeAnswer(StatusReport.self, from: body)?.state == .serving)
            // A name with several addresses, of which the server listens on one.
            let byName = AdminClient(
                .node(
                    Endpoint(host: "localhost", port: port),
                    authority: files.authority,
                    certificate: files.certificate,
                    key: files.key
                )
            )
            _ = try await byName.send("POST", "/v1/reload")
            let event = try #require(fixture.audit.take().first)
            #expect(event.who == "admin")
            #expect(event.method == .certificate)
            try await server.close()
        }
    }

    /// Does what the listener of the daemon does after a handshake.
    final class Acceptor: ChannelInboundHandler, RemovableChannelHandler {
        typealias InboundIn = ByteBuffer
        private let router: AdminRouter

        init(router: AdminRouter) { self.router = router }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard let done = event as? TLSHandshakeCompleted, let peer = done.peer,
                case .client(let name) = peer.identity,
                let principal = self.router.access.snapshot.table.principal(
                    certificateName: name,
                    serial: peer.serial
                )
            else { return context.fireUserInboundEventTriggered(event) }
            let admin = AdminPeer(principal: principal, from: "test")
            do {
                try configureAdminPipeline(context.channel, router: self.router, peer: admin)
            } catch {
                context.fireErrorCaught(error)
            }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
    }
}
