import NIOCore
import NIOEmbedded
import PrustCore
import PrustTLS
import Testing

@Suite struct HandshakeTests {
    static let protocolTable:
        [(server: [String], client: [String], chosen: String?, code: TLSError.Code?)] = [
            (["prust/1", "resp"], ["resp"], "resp", nil),
            (["prust/1", "resp"], ["resp", "prust/1"], "prust/1", nil),
            (["prust/1", "resp"], ["h2", "resp"], "resp", nil),
            (["prust/1", "resp"], [], nil, nil),
            ([], ["resp"], nil, nil),
            (["prust/1", "resp"], ["h2"], nil, .noApplicationProtocol),
        ]

    @Test(arguments: protocolTable)
    func applicationProtocol(
        server: [String],
        client: [String],
        chosen: String?,
        code: TLSError.Code?
    ) throws {
        let authority = try TestAuthority()
        let pair = try TestPair(client: authority.client(client), server: authority.server(server))
        try pair.run()
        #expect(pair.serverEnd.errors.map(\.code) == (code.map { [$0] } ?? []))
        if code == nil {
            #expect(pair.serverEnd.completed.map(\.applicationProtocol) == [chosen])
            #expect(pair.clientEnd.completed.map(\.applicationProtocol) == [chosen])
        } else {
            #expect(pair.serverEnd.completed.isEmpty)
            #expect(pair.clientEnd.completed.isEmpty)
            #expect(pair.clientEnd.errors.map(\.code) == [.refusedByPeer])
            #expect(pair.clientEnd.errors.first?.message.contains("application protocols") == true)
        }
    }

    @Test(arguments: PrivateKey.Kind.allCases)
    func identitiesAreKnown(kind: PrivateKey.Kind) throws {
        let authority = try TestAuthority(kind: kind)
        let server = try TLSContext.server(
            material: authority.material(authority.nodeProfile, kind: kind),
            applicationProtocols: ["resp"],
            clientCertificates: .required
        )
        let client = try TLSContext.client(
            material: authority.material(.client("alice"), kind: kind),
            applicationProtocols: ["resp"]
        )
        let pair = try TestPair(
            client: client,
            server: server,
            expectation: .init(hostName: "localhost", nodeID: authority.nodeID)
        )
        try pair.run()
        pair.expectNoErrors()
        let peer = try #require(pair.serverEnd.completed.first?.peer)
        #expect(peer.identity == .client("alice"))
        #expect(peer.commonName == "alice")
        #expect(peer.keyKind == kind)
        #expect(peer.fingerprint == client.material.certificate?.fingerprint)
        let node = try #require(pair.clientEnd.completed.first?.peer)
        #expect(node.identity == .node(authority.nodeID))
        #expect(node.serial == server.material.certificate?.serial)
        #expect(node.ipAddresses == ["127.0.0.1", "::1"])
    }

    enum ClientKind: Sendable { case good, none, otherAuthority, expired, early }

    static let clientTable:
        [(mode: TLSContext.ClientCertificates, client: ClientKind, code: TLSError.Code?)] = [
            (.required, .good, nil),
            (.required, .none, .noPeerCertificate),
            (.required, .otherAuthority, .unknownAuthority),
            (.required, .expired, .peerCertificateExpired),
            (.required, .early, .peerCertificateNotYetValid),
            (.optional, .good, nil),
            (.optional, .none, nil),
            (.optional, .otherAuthority, .unknownAuthority),
            (.optional, .expired, .peerCertificateExpired),
            (.none, .good, nil),
            (.none, .none, nil),
            (.none, .otherAuthority, nil),
        ]

    @Test(arguments: clientTable)
    func clientCertificate(
        mode: TLSContext.ClientCertificates,
        client: ClientKind,
        code: TLSError.Code?
    ) throws {
        let authority = try TestAuthority()
        let observer = CountingObserver()
        let pair = try TestPair(
            client: Self.context(client, authority),
            server: authority.server(clientCertificates: mode),
            observer: observer
        )
        try pair.run()
        #expect(pair.serverEnd.errors.map(\.code) == (code.map { [$0] } ?? []))
        let isKnown = client == .good && mode != .none
        if let code {
            #expect(pair.serverEnd.completed.isEmpty)
            #expect(pair.clientEnd.errors.map(\.code) == [.refusedByPeer])
            #expect(observer.counts == .init(started: 1, failed: [code]))
            #expect(!pair.server.isActive)
        } else {
            let peer = pair.serverEnd.completed.first?.peer
            #expect(peer?.identity == (isKnown ? .client("alice") : nil))
            pair.expectNoErrors()
            #expect(observer.counts == .init(started: 1, completed: 1))
        }
    }

    private static func context(
        _ kind: ClientKind,
        _ authority: TestAuthority
    ) throws -> TLSContext {
        let material =
            switch kind {
            case .good: try authority.material(.client("alice"))
            case .none: try TLSMaterial(trustPEM: authority.pem, now: TestAuthority.now)
            case .otherAuthority:
                try TestAuthority(name: "other").material(.client("alice"), trust: authority)
            case .expired: try authority.material(.client("alice"), startDay: -10, days: 5)
            case .early: try authority.material(.client("alice"), startDay: 10, days: 5)
            }
        return try TLSContext.client(material: material, applicationProtocols: ["resp"])
    }

    @Test func aClientsCertificateIsNoServers() throws {
        let authority = try TestAuthority()
        let server = try TLSContext.server(
            material: authority.material(.client("alice")),
            applicationProtocols: [],
            clientCertificates: .none
        )
        let pair = try TestPair(client: authority.client(), server: server, expectation: nil)
        try pair.run()
        #expect(pair.clientEnd.errors.map(\.code) == [.peerCertificateInvalid])
        #expect(pair.clientEnd.errors.first?.message.contains("extended key usage") == true)
    }

    @Test func messagesHelp() throws {
        let authority = try TestAuthority()
        let pair = try TestPair(
            client: Self.context(.expired, authority),
            server: authority.server()
        )
        try pair.run()
        let message = try #require(pair.serverEnd.errors.first?.message)
        #expect(message.hasPrefix("handshake failed: the peer's certificate expired on 20"))
        let refusal = try #require(pair.clientEnd.errors.first?.message)
        #expect(refusal.contains("the peer refused our certificate: expired"))
    }

    enum Expected: Sendable {
        case host(String)
        case unchecked(String)
        case node, otherNode, nothing
    }

    static let serverTable: [(expected: Expected, code: TLSError.Code?)] = [
        (.host("127.0.0.1"), nil),
        (.host("localhost"), nil),
        (.host("::1"), nil),
        (.host("127.0.0.2"), .hostNameMismatch),
        (.host("example.org"), .hostNameMismatch),
        (.unchecked("example.org"), nil),
        (.node, nil),
        (.otherNode, .wrongPeerIdentity),
        (.nothing, nil),
    ]

    @Test(arguments: serverTable)
    func serverIdentity(expected: Expected, code: TLSError.Code?) throws {
        let authority = try TestAuthority()
        let expectation: TLSPeerExpectation? =
            switch expected {
            case .host(let name): .init(hostName: name)
            case .unchecked(let name): .init(hostName: name, verifiesHostName: false)
            case .node: .init(hostName: nil, nodeID: authority.nodeID)
            case .otherNode: .init(hostName: nil, nodeID: try NodeID.random())
            case .nothing: nil
            }
        let pair = try TestPair(
            client: authority.client(),
            server: authority.server(),
            expectation: expectation
        )
        try pair.run()
        #expect(pair.clientEnd.errors.map(\.code) == (code.map { [$0] } ?? []))
        #expect(pair.clientEnd.completed.count == (code == nil ? 1 : 0))
        #expect(pair.serverEnd.completed.count == (code == nil ? 1 : 0))
        #expect(pair.serverEnd.errors.map(\.code) == (code == nil ? [] : [.refusedByPeer]))
    }

    @Test func serverOfAnotherAuthorityIsRefused() throws {
        let pair = try TestPair(
            client: TestAuthority().client(),
            server: TestAuthority(name: "other").server()
        )
        try pair.run()
        #expect(pair.clientEnd.errors.map(\.code) == [.unknownAuthority])
        #expect(pair.clientEnd.errors.first?.message.contains("unknown CA") == true)
        #expect(
            pair.serverEnd.errors.first?.message.contains("does not trust the CA") == true
        )
    }

    @Test func bothAuthoritiesOfARotationAreTrusted() throws {
        let old = try TestAuthority(name: "old")
        let new = try TestAuthority(name: "new")
        let server = try TLSContext.server(
            material: new.material(new.nodeProfile, trust: old),
            applicationProtocols: [],
            clientCertificates: .required
        )
        let client = try TLSContext.client(
            material: old.material(.client("bob"), trust: new),
            applicationProtocols: []
        )
        let pair = try TestPair(client: client, server: server)
        try pair.run()
        pair.expectNoErrors()
        #expect(pair.serverEnd.completed.first?.peer?.identity == .client("bob"))
    }

    @Test(arguments: [1, 2, 7, 100, 1000])
    func bytesInSmallPieces(pieceByteCount: Int) throws {
        let authority = try TestAuthority()
        let pair = try TestPair(client: authority.client(), server: authority.server())
        pair.pieceByteCount = pieceByteCount
        pair.serverEnd.echoes = true
        try pair.run()
        pair.send("hello", from: pair.client)
        pair.send(String(repeating: "x", count: 40_000), from: pair.client)
        try pair.pump()
        #expect(pair.clientEnd.text == "hello" + String(repeating: "x", count: 40_000))
        #expect(pair.serverEnd.trace.first == "completed")
        pair.expectNoErrors()
    }
}
