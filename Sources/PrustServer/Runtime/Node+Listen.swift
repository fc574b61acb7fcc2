import NIOCore
import NIOPosix
import PrustCore
import PrustSystemd
import PrustTLS
import PrustTelemetry

/// The listeners: clients over TLS, probes over plain HTTP, the admin API on a Unix socket.
extension Node {
    private static let backlog: CInt = 4_096

    /// What the connections of clients need.
    private struct Entrance: Sendable {
        let loops: Loops
        let router: AdminRouter
        let tls: TLSSettings
        let handshakes: HandshakeQueue
        let journal: NetworkJournal
    }

    func bindProbes(_ endpoint: Endpoint) async throws -> any Channel {
        let limiter = ConnectionLimiter(
            countMax: ConnectionLimiter.probeCountMax,
            countPerAddressMax: 0
        )
        let bootstrap = ServerBootstrap(group: self.group)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                guard self.admit(channel, limiter, orCount: .probes) else {
                    return Self.refused(channel)
                }
                return channel.eventLoop.makeCompletedFuture {
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
        let admin = try await self.bindAdminSocket(settings.adminSocket, router)
        let journal = NetworkJournal(logger: self.logger)
        let entrance = Entrance(
            loops: loops,
            router: router,
            tls: TLSSettings(
                handshakeTimeout: .nanoseconds(
                    Int64(settings.tls.handshakeTimeout / .nanoseconds(1))
                )
            ),
            handshakes: HandshakeQueue(countMax: settings.limits.handshakes),
            journal: journal
        )
        let bootstrap = ServerBootstrap(group: self.group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A client that has sent everything still gets its replies.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
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
                self.accept(channel, entrance)
            }
        let clients = try await self.bind(bootstrap, name: "client", to: settings.listen)
        self.drive(journal, until: clients.closeFuture)
        return [clients, admin]
    }

    private func bindAdminSocket(
        _ path: String,
        _ router: AdminRouter
    ) async throws -> any Channel {
        let limiter = ConnectionLimiter(
            countMax: ConnectionLimiter.adminSocketCountMax,
            countPerAddressMax: 0
        )
        try AdminSocket.prepare(path: path)
        let channel = try await ServerBootstrap(group: self.group)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                guard self.admit(channel, limiter, orCount: .adminSocket) else {
                    return Self.refused(channel)
                }
                return configureAdminSocketPipeline(channel, router: router)
            }
            .bind(unixDomainSocketPath: path).get()
        try AdminSocket.setPermissions(path: path)
        return channel
    }

    /// Has the journal look at the certificates and sum up, once a second.
    private func drive(_ journal: NetworkJournal, until closed: EventLoopFuture<Void>) {
        let task = closed.eventLoop.scheduleRepeatedTask(
            initialDelay: .zero,
            delay: .seconds(1)
        ) { [weak self] _ in
            guard let self else { return }
            let material = self.contexts.current.material
            journal.checkCertificates(material, self.settings.tls, now: Clocks.wall())
            journal.summarize()
        }
        closed.whenComplete { _ in
            task.cancel()
            journal.summarize(all: true)
        }
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

    /// Counts a connection of a listener with a fixed bound; false if it is one too many.
    private func admit(
        _ channel: any Channel,
        _ limiter: ConnectionLimiter,
        orCount rejection: ConnectionMetrics.Rejection
    ) -> Bool {
        guard limiter.admit("") == nil else {
            self.serverMetrics.connection.rejected[rejection]?.add()
            return false
        }
        channel.closeFuture.whenComplete { _ in limiter.release("") }
        return true
    }

    /// Has the listener close a connection.
    private static func refused(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.makeFailedFuture(ChannelError.connectTimeout(.zero))
    }

    private static func address(of channel: any Channel) -> String {
        channel.remoteAddress?.ipAddress ?? "unknown"
    }

    private func accept(_ channel: any Channel, _ entrance: Entrance) -> EventLoopFuture<Void> {
        let address = Self.address(of: channel)
        let host = address.contains(":") ? "[\(address)]" : address
        let endpoint = "\(host):\(channel.remoteAddress?.port ?? 0)"
        let (loops, handshakes, journal) = (entrance.loops, entrance.handshakes, entrance.journal)
        if let rejection = self.limiter.admit(address) {
            self.serverMetrics.connection.rejected[rejection]?.add()
            journal.rejected(rejection, from: address)
            return Self.refused(channel)
        }
        self.serverMetrics.connection.accepted.add()
        self.serverMetrics.connection.open.add(1)
        let limiter = self.limiter
        let metrics = self.serverMetrics
        let (ticket, displaced) = handshakes.add(channel)
        if let displaced {
            metrics.connection.rejected[.handshakes]?.add()
            journal.rejected(.handshakes, from: Self.address(of: displaced))
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
                    settings: entrance.tls,
                    observer: metrics,
                    grave: loops.graves[place].value
                )
            )
            try pipeline.addHandler(
                ProtocolSelector(
                    loop: loops.states[place].value,
                    router: entrance.router,
                    address: address,
                    endpoint: endpoint,
                    journal: journal,
                    handshakeDone: { handshakes.remove(ticket) }
                )
            )
        }
    }
}
