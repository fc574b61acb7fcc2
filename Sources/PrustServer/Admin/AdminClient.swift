import NIOCore
import NIOHTTP1
import NIOPosix
import PrustCore
import PrustTLS

/// Sends requests to the admin API of a node, one connection a request.
package struct AdminClient: Sendable {
    package enum Target: Equatable, Sendable {
        /// The Unix socket of a node on this machine.
        case socket(path: String)
        /// A node's TLS port, with the credentials of a user that has the verb admin.
        case node(Endpoint, authority: String, certificate: String, key: String)
    }

    /// Why there is no answer, or which error it is.
    package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
        package enum Kind: Sendable {
            case cannotReach
            case notAllowed
            /// The node answered that it did not do it.
            case refused
            /// The request was sent and no answer came: it may have been done.
            case unknownOutcome
        }

        package var kind: Kind
        package var message: String

        package init(_ kind: Kind, _ message: String) {
            self.kind = kind
            self.message = message
        }

        package var description: String { self.message }
    }

    /// Of this build, the same as the daemon's.
    package static let version = BuildInfo.version
    package static let responseByteCountMax = 64 * 1024 * 1024
    private static let connectTimeout = TimeAmount.seconds(10)
    private static let requestTimeout = TimeAmount.seconds(120)

    private let target: Target

    package init(_ target: Target) {
        self.target = target
    }

    /// Where it connects to, for messages.
    package var place: String {
        switch self.target {
        case .socket(let path): path
        case .node(let endpoint, authority: _, certificate: _, key: _): endpoint.description
        }
    }

    /// Sends a request and reads its answer.
    ///
    /// - Parameters:
    ///   - method: Such as `GET`.
    ///   - path: Such as `/v1/status`.
    ///   - body: JSON.
    /// - Returns: The body of an answer that is no error.
    /// - Throws: ``Failure``.
    package func send(
        _ method: String,
        _ path: String,
        body: [UInt8] = []
    ) async throws(Failure) -> [UInt8] {
        let context = try self.makeContext()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: AdminResponse.self)
        let request = AdminRequest(method: method, path: path, body: body)
        let target = self.target
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(Self.connectTimeout)
        let channel: EventLoopFuture<any Channel> =
            switch target {
            case .socket(let path):
                bootstrap.connect(unixDomainSocketPath: path)
            case .node(let endpoint, authority: _, certificate: _, key: _):
                bootstrap.connect(host: endpoint.host, port: endpoint.port)
            }
        // A name may have several addresses, each tried on a channel of its own; so the handlers
        // come only once one is connected.
        channel.flatMapThrowing { channel in
            let operations = channel.pipeline.syncOperations
            if let context, case .node(let endpoint, _, _, _) = target {
                let expectation = TLSPeerExpectation(hostName: endpoint.host)
                try operations.addHandler(TLSHandler(context: context, expectation: expectation))
            }
            try operations.addHTTPClientHandlers()
            let exchange = AdminExchangeHandler(
                request: request,
                host: target.hostHeader,
                isOverTLS: context != nil,
                timeout: Self.requestTimeout,
                promise: promise
            )
            try operations.addHandler(exchange)
        }.whenFailure { promise.fail($0) }
        return try await self.result(promise.futureResult)
    }

    private func result(
        _ future: EventLoopFuture<AdminResponse>
    ) async throws(Failure) -> [UInt8] {
        let response: AdminResponse
        do {
            response = try await future.get()
        } catch let failure as Failure {
            throw Failure(failure.kind, "\(self.place): \(failure.message)")
        } catch {
            throw self.cannotReach(error)
        }
        guard response.status >= 400 else { return response.body }
        let answer = AdminJSON.decodeAnswer(AdminErrorBody.self, from: response.body)
        let message = answer?.error.message ?? "the node answered with status \(response.status)"
        let isDenied = response.status == 401 || response.status == 403
        throw Failure(isDenied ? .notAllowed : .refused, message)
    }

    private func makeContext() throws(Failure) -> TLSContext? {
        guard case .node(_, let authority, let certificate, let key) = self.target else {
            return nil
        }
        do throws(TLSError) {
            let material = try TLSMaterial.load(
                certificateFile: certificate,
                keyFile: key,
                caFile: authority,
                role: .client,
                now: MachineClock.now()
            )
            return try TLSContext.client(material: material, applicationProtocols: ["http/1.1"])
        } catch {
            throw Failure(.notAllowed, error.message)
        }
    }

    private func cannotReach(_ error: any Error) -> Failure {
        var cause = error
        if let failure = error as? NIOConnectionError {
            // Of several addresses, the last one that was tried stands for all.
            cause = failure.connectionErrors.last?.error ?? failure.dnsAError ?? error
        }
        guard let code = (cause as? IOError)?.errnoCode else {
            return Failure(.cannotReach, "cannot reach \(self.place): \(cause)")
        }
        return Failure(Self.kind(code), "cannot reach \(self.place): \(Self.reason(code))")
    }
}

extension AdminClient.Target {
    var hostHeader: String {
        switch self {
        case .socket: "localhost"
        case .node(let endpoint, authority: _, certificate: _, key: _): endpoint.description
        }
    }
}
