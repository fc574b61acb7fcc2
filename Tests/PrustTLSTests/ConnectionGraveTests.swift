import NIOCore
import NIOEmbedded
import Testing

@testable import PrustTLS

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

    @Test func countIsBounded() throws {
        let context = try TestAuthority().client()
        let loop = EmbeddedEventLoop()
        let grave = ConnectionGrave(eventLoop: loop)
        for number in 1...(ConnectionGrave.countMax + 1) {
            grave.bury(
                try TLSConnection(context: context, expectation: .anyServer, rekeyRecordCount: 1)
            )
            #expect(grave.count == min(number, ConnectionGrave.countMax))
        }
    }
}
