package import NIOCore
private import NIOPosix
private import PrustCore
private import PrustTLS

/// Makes connections that are ready for commands: TCP, TLS, greeting.
package struct Dialer: Sendable {
    private let context: TLSContext?
    private let user: (name: String, password: String)?
    private let connectTimeout: TimeAmount

    /// Reads the files of the credentials.
    ///
    /// - Parameters:
    ///   - credentials: Who the client is.
    ///   - connectTimeout: For one attempt: TCP, TLS and greeting each.
    /// - Throws: ``ClientError`` with the file and what is wrong with it.
    package init(
        credentials: ClientCredentials,
        connectTimeout: Duration
    ) throws(ClientError) {
        self.connectTimeout = connectTimeout.timeAmount
        let now = Self.wallTime()
        do {
            switch credentials.proof {
            case .certificate(let file, let keyFile):
                self.user = nil
                self.context = try TLSContext.client(
                    material: TLSMaterial.load(
                        certificateFile: file,
                        keyFile: keyFile,
                        caFile: credentials.authorityFile,
                        role: .any,
                        now: now
                    ),
                    applicationProtocols: ["resp"]
                )
            case .password(let user, let password):
                self.user = (user, password)
                self.context = try TLSContext.client(
                    material: TLSMaterial.loadTrust(caFile: credentials.authorityFile, now: now),
                    applicationProtocols: ["resp"]
                )
            }
        } catch {
            throw ClientError(.tls, error.message, cause: error)
        }
    }

    /// A dialer without TLS, for tests against a server that is a script.
    package init(plainTextFor user: (name: String, password: String)?, connectTimeout: Duration) {
        self.context = nil
        self.user = user
        self.connectTimeout = connectTimeout.timeAmount
    }

    /// Connects to a node.
    ///
    /// - Parameters:
    ///   - node: Where it listens.
    ///   - eventLoop: The loop of the connection.
    /// - Returns: A channel of `ByteBuffer`s, greeted; a handler for the replies must be added on
    ///   the event loop at once. Fails with a ``ClientError`` only.
    package func dial(
        _ node: NodeAddress,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<any Channel> {
        // Several channels may be tried for a name with several addresses: each has its greeting.
        let greetings = NIOLoopBoundBox<[ObjectIdentifier: EventLoopFuture<Void>]>
            .makeBoxSendingValue([:], eventLoop: eventLoop)
        return ClientBootstrap(group: eventLoop)
            .connectTimeout(self.connectTimeout)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                eventLoop.makeCompletedFuture {
                    let promise = eventLoop.makePromise(of: Void.self)
                    greetings.value[ObjectIdentifier(channel)] = promise.futureResult
                    try self.addHandlers(to: channel, node: node, promise: promise)
                }
            }
            .connect(host: node.host, port: node.port)
            .flatMap { channel in
                guard let greeting = greetings.value[ObjectIdentifier(channel)] else {
                    let message = "the connection has no greeting"
                    return eventLoop.makeFailedFuture(ClientError(.connectionLost, message))
                }
                return greeting.map { channel }
            }
            .flatMapErrorThrowing { throw Self.clientError($0, node: node) }
    }

    private func addHandlers(
        to channel: any Channel,
        node: NodeAddress,
        promise: EventLoopPromise<Void>
    ) throws {
        if let context = self.context {
            var settings = TLSSettings()
            settings.handshakeTimeout = self.connectTimeout
            try channel.pipeline.syncOperations.addHandler(
                TLSHandler(
                    context: context,
                    settings: settings,
                    expectation: TLSPeerExpectation(hostName: node.host)
                )
            )
        }
        try channel.pipeline.syncOperations.addHandler(
            HelloHandler(
                user: self.user,
                overTLS: self.context != nil,
                timeout: self.connectTimeout,
                promise: promise
            )
        )
    }

    /// The error that callers see for whatever broke an attempt to connect.
    static func clientError(_ error: any Error, node: NodeAddress? = nil) -> ClientError {
        let place = node.map { "\($0): " } ?? ""
        switch error {
        case let error as ClientError:
            return ClientError(
                error.code,
                place + error.message,
                outcome: error.outcome,
                cause: error.cause
            )
        case let error as TLSError:
            switch error.code {
            case .handshakeTimedOut, .handshakeInterrupted, .truncated:
                return ClientError(.connectionLost, place + error.message, cause: error)
            default:
                return ClientError(.tls, place + error.message, cause: error)
            }
        case let error as NIOConnectionError:
            let causes = error.connectionErrors.map { Self.reason($0.error) }
            let reason = causes.first ?? "the name has no address"
            return ClientError(.connectionLost, place + reason, cause: error)
        case ChannelError.connectTimeout:
            return ClientError(.connectionLost, place + "no connection in time", cause: error)
        default:
            return ClientError(.connectionLost, place + Self.reason(error), cause: error)
        }
    }

    private static func reason(_ error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        return ErrnoText.describe(error.errnoCode)
    }

    private static func wallTime() -> WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(milliseconds: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
