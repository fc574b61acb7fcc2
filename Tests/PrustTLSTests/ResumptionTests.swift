import NIOCore
import NIOEmbedded
import PrustCore
import PrustTLS
import Testing

@Suite struct ResumptionTests {
    @Test func theSecondConnectionResumesAndKnowsThePeer() throws {
        let authority = try TestAuthority()
        let client = try authority.client()
        let server = try authority.server()
        let observer = CountingObserver()
        let first = try TestPair(client: client, server: server, observer: observer)
        try first.run()
        #expect(first.serverEnd.completed.map(\.isResumed) == [false])
        #expect(!first.serverTLS.isResumed)
        for _ in 0..<3 {
            let next = try TestPair(client: client, server: server, observer: observer)
            try next.run()
            next.expectNoErrors()
            #expect(next.clientEnd.completed.map(\.isResumed) == [true])
            let event = try #require(next.serverEnd.completed.first)
            #expect(event.isResumed && next.serverTLS.isResumed && next.clientTLS.isResumed)
            #expect(event.peer == first.serverEnd.completed.first?.peer)
            #expect(event.peer?.identity == .client("alice"))
            #expect(event.applicationProtocol == "resp")
            #expect(next.clientEnd.completed.first?.peer?.identity == .node(authority.nodeID))
            next.send("hello", from: next.client)
            try next.pump()
            #expect(next.serverEnd.text == "hello")
        }
        #expect(observer.counts == .init(started: 4, completed: 4, resumed: 3))
    }

    @Test func aSessionIsOfferedOnlyToTheServerThatItIsFrom() throws {
        let authority = try TestAuthority()
        let client = try authority.client()
        let server = try authority.server()
        try TestPair(client: client, server: server).run()
        // A resumed session is not verified again, so it must not serve another expectation.
        let other = try TestPair(
            client: client,
            server: server,
            expectation: .init(hostName: nil, nodeID: NodeID.random())
        )
        try other.run()
        #expect(other.clientEnd.errors.map(\.code) == [.wrongPeerIdentity])
    }

    @Test func aNewContextDoesNotTakeOldTickets() throws {
        let old = try TestAuthority(name: "old")
        let new = try TestAuthority(name: "new")
        let client = try TLSContext.client(
            material: old.material(.client("mallory"), trust: new),
            applicationProtocols: []
        )
        let holder = TLSContextHolder(
            try TLSContext.server(
                material: new.material(new.nodeProfile, trust: old),
                applicationProtocols: [],
                clientCertificates: .required
            )
        )
        let first = try TestPair(client: client, server: holder.current)
        try first.run()
        first.expectNoErrors()
        // The reload takes the client's CA away.
        holder.replace(
            with: try TLSContext.server(
                material: new.material(new.nodeProfile),
                applicationProtocols: [],
                clientCertificates: .required
            )
        )
        let second = try TestPair(client: client, server: holder.current)
        try second.run()
        #expect(second.serverEnd.errors.map(\.code) == [.unknownAuthority])
        #expect(second.serverEnd.completed.isEmpty)
        // The connection that was there goes on.
        first.send("still here", from: first.client)
        try first.pump()
        #expect(first.serverEnd.text == "still here")
    }

    @Test func aReloadUsesTheNewCertificateAtOnce() throws {
        let authority = try TestAuthority()
        let client = try authority.client()
        let holder = TLSContextHolder(try authority.server())
        let first = try TestPair(client: client, server: holder.current)
        try first.run()
        holder.replace(with: try authority.server())
        let second = try TestPair(client: client, server: holder.current)
        try second.run()
        second.expectNoErrors()
        let before = try #require(first.clientEnd.completed.first?.peer)
        let after = try #require(second.clientEnd.completed.first?.peer)
        #expect(before.serial != after.serial)
        #expect(after.serial == holder.current.material.certificate?.serial)
    }

    @Test func aClientWithoutCertificateResumesWithoutOne() throws {
        let authority = try TestAuthority()
        let client = try authority.clientWithoutCertificate()
        let server = try authority.server(clientCertificates: .optional)
        for isResumed in [false, true] {
            let pair = try TestPair(client: client, server: server)
            try pair.run()
            #expect(pair.serverEnd.completed.map(\.isResumed) == [isResumed])
            #expect(pair.serverEnd.completed.first?.peer == nil)
        }
        // The same client is no client of a server that asks for a certificate.
        let strict = try authority.server(clientCertificates: .required)
        let pair = try TestPair(client: client, server: strict)
        try pair.run()
        #expect(pair.serverEnd.errors.map(\.code) == [.noPeerCertificate])
    }
}
