import Glibc
package import NIOCore
import NIOHTTP1
import PrustCore

/// Serves the admin API on a connection whose peer is known.
///
/// - Parameters:
///   - channel: A connection after its TLS handshake; call this on its event loop.
///   - router: Answers the requests.
///   - peer: Who is at the other end.
/// - Throws: When the channel is closed already.
package func configureAdminPipeline(
    _ channel: any Channel,
    router: AdminRouter,
    peer: AdminPeer
) throws {
    try addHTTPService(channel, bodyByteCountMax: Limits.adminBodyByteCountMax) { request in
        await router.handle(request, from: peer)
    }
}

/// Tells a peer that it may not use the admin API, whatever it asks.
///
/// - Parameter channel: A connection whose certificate names no enabled user; call this on its
///   event loop. The refusal is audited by the caller, who knows why.
/// - Throws: When the channel is closed already.
package func configureAdminRefusalPipeline(_ channel: any Channel) throws {
    try addHTTPService(channel, bodyByteCountMax: 0) { _ in
        AdminResponse(
            AdminFault(
                status: 403,
                code: "not-allowed",
                message: "the admin API needs the client certificate of an enabled user with the "
                    + "verb admin"
            )
        )
    }
}

/// `struct ucred`, which the Glibc module hides behind _GNU_SOURCE.
private struct SocketCredentials: Sendable {
    var pid: Int32
    var uid: UInt32
    var gid: UInt32
}

/// Serves the admin API on a connection of the Unix socket, whose file permissions have decided.
///
/// - Parameters:
///   - channel: A connection of the socket; call this on its event loop.
///   - router: Answers the requests.
/// - Returns: A future that completes when requests are read.
package func configureAdminSocketPipeline(
    _ channel: any Channel,
    router: AdminRouter
) -> EventLoopFuture<Void> {
    guard let socket = channel as? any SocketOptionProvider else {
        return channel.eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
    }
    let credentials: EventLoopFuture<SocketCredentials> = socket.unsafeGetSocketOption(
        level: .socket,
        name: NIOBSDSocket.Option(rawValue: SO_PEERCRED)
    )
    return credentials.flatMapThrowing { credentials in
        let principal = Principal.socket(name: "uid=\(credentials.uid)")
        let peer = AdminPeer(
            principal: principal,
            from: "unix pid=\(credentials.pid) gid=\(credentials.gid)"
        )
        try configureAdminPipeline(channel, router: router, peer: peer)
    }
}

/// What a load balancer or an operator asks a node.
package struct ProbeAnswer: Equatable, Sendable {
    package var isGood: Bool
    /// A few words, such as `ok` or `recovering: 40 %`.
    package var text: String

    package init(isGood: Bool, text: String) {
        self.isGood = isGood
        self.text = text
    }
}

/// What the plain listener shows; called on the event loop of the connection.
package protocol ProbeSource: Sendable {
    /// Prometheus' text format.
    func metrics() -> String
    /// Whether the process works at all.
    func health() -> ProbeAnswer
    /// Whether requests should be sent here.
    func readiness() -> ProbeAnswer
}

/// Serves `/metrics`, `/healthz` and `/readyz`.
///
/// - Parameters:
///   - channel: A connection; call this on its event loop.
///   - source: Gives what is shown.
/// - Throws: When the channel is closed already.
package func configureProbePipeline(_ channel: any Channel, source: any ProbeSource) throws {
    try addHTTPService(channel, bodyByteCountMax: 0) { request in
        ProbeResponder.answer(request, source: source)
    }
}

/// Gathers requests on a connection and writes their answers, whoever makes them.
func addHTTPService(
    _ channel: any Channel,
    bodyByteCountMax: Int,
    respond: @escaping @Sendable (AdminRequest) async -> AdminResponse
) throws {
    let operations = channel.pipeline.syncOperations
    try operations.configureHTTPServerPipeline(
        withPipeliningAssistance: true,
        withErrorHandling: true
    )
    let configuration = HTTPServiceHandler.Configuration(bodyByteCountMax: bodyByteCountMax)
    try operations.addHandler(HTTPServiceHandler(configuration: configuration, respond: respond))
}

/// Answers the requests of probes.
enum ProbeResponder {
    static let textType = "text/plain; charset=utf-8"
    static let metricsType = "text/plain; version=0.0.4; charset=utf-8"

    static func answer(_ request: AdminRequest, source: any ProbeSource) -> AdminResponse {
        guard ["/metrics", "/healthz", "/readyz"].contains(request.path) else {
            return Self.text("there are /metrics, /healthz and /readyz here", status: 404)
        }
        guard request.method == "GET" || request.method == "HEAD" else {
            var response = Self.text("only GET and HEAD", status: 405)
            response.allow = ["GET", "HEAD"]
            return response
        }
        switch request.path {
        case "/metrics":
            let body = Array(source.metrics().utf8)
            return AdminResponse(status: 200, contentType: Self.metricsType, body: body)
        case "/healthz":
            return Self.probe(source.health())
        default:
            return Self.probe(source.readiness())
        }
    }

    private static func probe(_ answer: ProbeAnswer) -> AdminResponse {
        Self.text(answer.text, status: answer.isGood ? 200 : 503)
    }

    private static func text(_ text: String, status: Int) -> AdminResponse {
        AdminResponse(status: status, contentType: Self.textType, body: Array("\(text)\n".utf8))
    }
}
