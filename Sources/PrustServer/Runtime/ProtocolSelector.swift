import NIOCore
import PrustCore
import PrustTLS
import PrustTelemetry

/// Waits for the TLS handshake and then puts the handlers of the chosen protocol in its place.
final class ProtocolSelector: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    static let applicationProtocols = ["resp", "http/1.1"]

    private let loop: LoopState
    private let router: AdminRouter
    private let address: String
    private let endpoint: String
    private let journal: NetworkJournal
    private let handshakeDone: () -> Void
    private var isHandshaking = true

    init(
        loop: LoopState,
        router: AdminRouter,
        address: String,
        endpoint: String,
        journal: NetworkJournal,
        handshakeDone: @escaping () -> Void
    ) {
        self.journal = journal
        self.handshakeDone = handshakeDone
        self.loop = loop
        self.router = router
        self.address = address
        self.endpoint = endpoint
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The TLS handler has counted it and closes the connection.
        if self.isHandshaking, let error = error as? TLSError {
            self.journal.handshakeFailed(error, from: self.address)
        }
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let completed = event as? TLSHandshakeCompleted else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        self.isHandshaking = false
        self.handshakeDone()
        do {
            switch completed.applicationProtocol {
            case nil, "resp":
                let session = RESPSession(
                    loop: self.loop,
                    address: self.address,
                    certificate: completed.peer
                )
                try context.pipeline.syncOperations.addHandler(session, position: .last)
            case "http/1.1":
                if let peer = self.adminPeer(completed.peer) {
                    try configureAdminPipeline(context.channel, router: self.router, peer: peer)
                } else {
                    try configureAdminRefusalPipeline(context.channel)
                }
            default:
                self.loop.services.metrics.connection.rejected[.protocolUnknown]?.add()
                context.close(promise: nil)
                return
            }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            context.close(promise: nil)
        }
    }

    private func adminPeer(_ certificate: PeerCertificate?) -> AdminPeer? {
        guard let certificate, case .client(let name) = certificate.identity,
            let principal = self.loop.services.access.table.principal(
                certificateName: name,
                serial: certificate.serial
            )
        else {
            self.loop.services.audit.record(
                AuditEvent(
                    who: certificate?.commonName ?? "unknown",
                    isKnown: false,
                    method: certificate == nil ? nil : .certificate,
                    from: self.endpoint,
                    action: "admin-api",
                    target: nil,
                    outcome: .denied,
                    reason: "the admin API needs the client certificate of an enabled user"
                )
            )
            return nil
        }
        return AdminPeer(
            principal: principal,
            serial: certificate.serial,
            from: self.endpoint
        )
    }
}
