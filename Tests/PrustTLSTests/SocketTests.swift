import Foundation
import NIOCore
import NIOPosix
import PrustCore
import PrustTLS
import Testing

/// Real sockets, and OpenSSL's own client at the other end.
@Suite(.serialized) struct SocketTests {
    /// Sends back what it gets, and who sent it.
    final class Echo: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.write(data, promise: nil)
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            context.flush()
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard let event = event as? TLSHandshakeCompleted else { return }
            let name = event.peer?.identity?.uri ?? "nobody"
            let line = "hello \(name) over \(event.applicationProtocol ?? "nothing")\n"
            context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: line)), promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {}
    }

    struct Outcome {
        let status: Int32
        let text: String
    }

    struct Setting {
        let directory: MaterialTests.Directory
        let authority: TestAuthority
    }

    static func prepare() throws -> Setting {
        let directory = try MaterialTests.Directory()
        let authority = try TestAuthority()
        let client = try authority.issue(.client("alice"))
        try client.key.write(path: "\(directory.path)/client.key")
        try client.certificate.write(path: "\(directory.path)/client.crt")
        try authority.authority.certificate.write(path: "\(directory.path)/ca.crt")
        return Setting(directory: directory, authority: authority)
    }

    /// Runs `openssl s_client` against a server of ours; its input ends with the talk.
    static func run(
        _ setting: Setting,
        _ arguments: [String],
        talk: [(say: String, hear: String)] = []
    ) async throws -> Outcome {
        let context = try setting.authority.server(["resp"])
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        TLSHandler(context: context), Echo(),
                    ])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port ?? 0
        let outcome = try Self.openSSL(
            ["s_client", "-connect", "127.0.0.1:\(port)"] + arguments,
            talk: talk
        )
        try await channel.close().get()
        try await group.shutdownGracefully()
        return outcome
    }

    static func openSSL(
        _ arguments: [String],
        talk: [(say: String, hear: String)] = []
    ) throws -> Outcome {
        // A process that ended early must not take the tests with it.
        signal(SIGPIPE, SIG_IGN)
        let process = Process()
        // Whatever goes wrong, the test ends.
        process.executableURL = URL(filePath: "/usr/bin/timeout")
        process.arguments = ["--signal=KILL", "30", "/usr/bin/openssl"] + arguments
        let pipe = Pipe()
        let source = Pipe()
        process.standardInput = source
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        var text = ""
        for (say, hear) in talk {
            source.fileHandleForWriting.write(Data(say.utf8))
            while !text.contains(hear) {
                let data = pipe.fileHandleForReading.availableData
                if data.isEmpty { break }
                text += String(decoding: data, as: UTF8.self)
            }
        }
        try source.fileHandleForWriting.close()
        text += String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return Outcome(status: process.terminationStatus, text: text)
    }

    @Test func openSSLTalksToUs() async throws {
        let setting = try Self.prepare()
        let path = setting.directory.path
        let outcome = try await Self.run(
            setting,
            [
                "-tls1_3", "-CAfile", "\(path)/ca.crt", "-cert", "\(path)/client.crt", "-key",
                "\(path)/client.key", "-alpn", "h2,resp", "-verify_return_error", "-verify_ip",
                "127.0.0.1",
            ],
            // K at the start of what it reads makes it ask for a key update.
            talk: [
                ("first line\n", "first line\n"), ("K\n", "KEYUPDATE"),
                ("last line\n", "last line\n"),
            ]
        )
        #expect(outcome.status == 0)
        #expect(outcome.text.contains("Verify return code: 0 (ok)"))
        #expect(outcome.text.contains("hello prustdb://client/alice over resp"))
        #expect(outcome.text.contains("KEYUPDATE"))
        #expect(outcome.text.contains("first line"))
        #expect(outcome.text.contains("TLS_AES_128_GCM_SHA256"))
        #expect(outcome.text.contains("X25519"))
    }

    @Test func olderVersionsGetTheirAlert() async throws {
        let setting = try Self.prepare()
        let path = setting.directory.path
        let outcome = try await Self.run(
            setting,
            ["-tls1_2", "-CAfile", "\(path)/ca.crt"]
        )
        #expect(outcome.status == 1)
        #expect(outcome.text.contains("alert protocol version"))
    }

    @Test func openSSLReadsOurCertificates() async throws {
        let setting = try Self.prepare()
        let path = setting.directory.path
        let node = try setting.authority.issue(setting.authority.nodeProfile)
        try node.certificate.write(path: "\(path)/node.crt")
        for (file, purpose) in [
            ("node.crt", "sslserver"), ("node.crt", "sslclient"), ("client.crt", "sslclient"),
        ] {
            let outcome = try Self.openSSL(
                [
                    "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "\(path)/ca.crt",
                    "\(path)/\(file)",
                ]
            )
            #expect(outcome.status == 0, "\(outcome.text)")
        }
        let refused = try Self.openSSL(
            [
                "verify", "-purpose", "sslserver", "-CAfile", "\(path)/ca.crt",
                "\(path)/client.crt",
            ]
        )
        #expect(refused.status != 0)
    }

    /// Requests of openssl itself are signed, and what they ask for beyond the key is left out.
    @Test func requestsOfOpenSSLAreTaken() async throws {
        let setting = try Self.prepare()
        let path = setting.directory.path
        let made = try Self.openSSL(
            [
                "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", "\(path)/own.key", "-out", "\(path)/own.csr", "-subj", "/CN=admin",
                "-addext", "subjectAltName=URI:prustdb://client/admin", "-addext",
                "basicConstraints=critical,CA:TRUE",
            ]
        )
        #expect(made.status == 0, "\(made.text)")
        let pem = try PrivateFile.read(path: "\(path)/own.csr", byteCountMax: 10_000)
        let certificate = try setting.authority.authority.sign(
            CertificateRequest(pem: pem),
            profile: .client("bob"),
            validitySeconds: 3600,
            now: TestAuthority.now
        )
        #expect(certificate.uris == ["prustdb://client/bob"])
        #expect(certificate.commonName == "bob")
        #expect(!certificate.isAuthority)
        let key = try PrivateFile.read(path: "\(path)/own.key", byteCountMax: 10_000)
        #expect(certificate.belongs(to: try PrivateKey(pem: key)))
    }

    @Test func requestsWithOtherKeysAreRefused() async throws {
        let setting = try Self.prepare()
        let path = setting.directory.path
        let made = try Self.openSSL(
            [
                "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "\(path)/rsa.key",
                "-out", "\(path)/rsa.csr", "-subj", "/CN=admin",
            ]
        )
        #expect(made.status == 0, "\(made.text)")
        for (file, isKey) in [("rsa.csr", false), ("rsa.key", true)] {
            let pem = try PrivateFile.read(path: "\(path)/\(file)", byteCountMax: 10_000)
            do throws(TLSError) {
                if isKey {
                    _ = try PrivateKey(pem: pem)
                } else {
                    _ = try CertificateRequest(pem: pem)
                }
                Issue.record("accepted \(file)")
            } catch {
                #expect(error.code == .wrongKeyType)
            }
        }
    }
}
