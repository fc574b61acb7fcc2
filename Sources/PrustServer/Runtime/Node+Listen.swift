import NIOCore
import NIOPosix
import PrustCore
import PrustSystemd
import PrustTLS
import PrustTelemetry

/// The listeners: clients over TLS, probes over plain HTTP, the admin API on a Unix socket.
extension Node {
    private static let backlog: CInt = 4_096

    func bindProbes(_ endpoint: Endpoint) async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: self.group)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try configureProbePipeline(channel, source: self)
                }
            }
        return try await self.bind(bootstrap, name: "metrics", to: endpoint)
    }

    func bindServices(_ settings: Settings, _ loops: Loops) async throws -> [any Channel] {
        let router = AdminRouter(
            backend: self,
            access: self.accessStore,
            issuer: ClientIssuer(dataDirectory: settings.dataDirectory),
            audit: self.audit,
            now: { Clocks.wall() }
        )
        try AdminSocket.prepare(path: settings.adminSocket)
        let admin = try await ServerBootstrap(group: self.group)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                configureAdminSocketPipeline(channel, router: router)
            }
            .bind(unixDomainSocketPath: settings.adminSocket).get()
        try AdminSocket.setPermissions(path: settings.adminSocket)

        let tls = TLSSettings(
            handshakeTimeout: .nanoseconds(Int64(settings.tls.handshakeTimeout / .nanoseconds(1)))
        )
        let handshakes = HandshakeQueue(countMax: settings.limits.handshakes)
        let bootstrap = ServerBootstrap(group: self.group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 2_048,
                    initial: 4_096,
                    maximum: 65_536
                )
            )
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: 64 * 1024, high: 1024 * 1024)
            )
            .childChannelInitializer { channel in
                self.accept(channel, loops, router, tls, handshakes)
            }
        let clients = try await self.bind(bootstrap, name: "client", to: settings.listen)
        return [clients, admin]
    }

    private func bind(
        _ bootstrap: ServerBootstrap,
        name: String,
        to endpoint: Endpoint
    ) async throws -> any Channel {
        do {
            if let socket = self.sockets.first(where: { $0.name == name }) {
                return try await bootstrap.withBoundSocket(socket.descriptor).get()
            }
            return try await bootstrap.bind(host: endpoint.host, port: endpoint.port).get()
        } catch {
            throw StartError("\(name) listener: cannot listen on \(endpoint): \(error)")
        }
    }

    private func accept(
        _ channel: any Channel,
        _ loops: Loops,
        _ router: AdminRouter,
        _ tls: TLSSettings,
        _ handshakes: HandshakeQueue
    ) -> EventLoopFuture<Void> {
        let address = channel.remoteAddress?.ipAddress ?? "unknown"
        let port = channel.remoteAddress?.port ?? 0
        if let rejection = self.limiter.admit(address) {
            self.serverMetrics.connection.rejected[rejection]?.add()
            return channel.eventLoop.makeFailedFuture(ChannelError.connectTimeout(.zero))
        }
        self.serverMetrics.connection.accepted.add()
        self.serverMetrics.connection.open.add(1)
        let limiter = self.limiter
        let metrics = self.serverMetrics
        let (ticket, displaced) = handshakes.add(channel)
        if let displaced {
            metrics.connection.rejected[.handshakes]?.add()
            displaced.close(promise: nil)
        }
        channel.closeFuture.whenComplete { _ in
            handshakes.remove(ticket)
            limiter.release(address)
            metrics.connection.open.add(-1)
        }
        let context = self.contexts.current
        return channel.eventLoop.makeCompletedFuture {
            guard let place = loops.places[ObjectIdentifier(channel.eventLoop)] else {
                throw ChannelError.operationUnsupported
            }
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(
                TLSHandler(
                    context: context,
                    settings: tls,
                    observer: metrics,
                    grave: loops.graves[place].value
                )
            )
            try pipeline.addHandler(
                ProtocolSelector(
                    loop: loops.states[place].value,
                    router: router,
                    address: address,
                    endpoint: "\(address):\(port)",
                    handshakeDone: { handshakes.remove(ticket) }
                )
            )
        }
    }
}
