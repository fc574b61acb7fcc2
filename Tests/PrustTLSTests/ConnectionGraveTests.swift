import NIOCore
import NIOEmbedded
import PrustTLS
import Testing

@Suite struct ConnectionGraveTests {
    @Test func anEndedConnectionIsFreedALittleLater() throws {
        let authority = try TestAuthority()
        let pair = try TestPair(
            client: authority.client(),
            server: authority.server(),
            serverBuries: true
        )
        try pair.run()
        #expect(pair.grave.count == 0)
        pair.server.close(promise: nil)
        pair.loop.run()
        #expect(pair.grave.count == 1)
        pair.loop.advanceTime(by: .milliseconds(1))
        #expect(pair.grave.count == 0)
    }
}
