import Testing

@testable import PrustServer

@Suite struct ConnectionLimiterTests {
    @Test func allTogether() {
        let limiter = ConnectionLimiter(countMax: 2, countPerAddressMax: 0)
        #expect(limiter.admit("10.0.0.1") == nil)
        #expect(limiter.admit("10.0.0.1") == nil)
        #expect(limiter.admit("10.0.0.2") == .limit)
        #expect(limiter.count == 2)
        limiter.release("10.0.0.1")
        #expect(limiter.admit("10.0.0.2") == nil)
        #expect(limiter.count == 2)
    }

    @Test func perIPv4Address() {
        let limiter = ConnectionLimiter(countMax: 0, countPerAddressMax: 1)
        #expect(limiter.admit("10.0.0.1") == nil)
        #expect(limiter.admit("10.0.0.1") == .perAddress)
        // As a socket for both families shows the same address.
        #expect(limiter.admit("::ffff:10.0.0.1") == .perAddress)
        #expect(limiter.admit("10.0.0.2") == nil)
        limiter.release("::ffff:10.0.0.1")
        #expect(limiter.admit("10.0.0.1") == nil)
    }

    /// Whoever has a /64 has 2^64 addresses.
    @Test func perIPv6Network() {
        let limiter = ConnectionLimiter(countMax: 0, countPerAddressMax: 2)
        #expect(limiter.admit("2001:db8:1:2::1") == nil)
        #expect(limiter.admit("2001:db8:1:2::2") == nil)
        #expect(limiter.admit("2001:db8:1:2::3") == .perAddress)
        #expect(limiter.admit("2001:db8:1:3::3") == nil)
        limiter.release("2001:db8:1:2::1")
        #expect(limiter.admit("2001:db8:1:2::3") == nil)
        #expect(limiter.admit("2001:db8:1:2::4") == .perAddress)
    }

    @Test(arguments: [
        ConnectionLimiter.probeCountMax, ConnectionLimiter.adminSocketCountMax,
    ])
    func fixedBounds(countMax: Int) {
        let limiter = ConnectionLimiter(countMax: countMax, countPerAddressMax: 0)
        for _ in 0..<countMax { #expect(limiter.admit("") == nil) }
        #expect(limiter.admit("") == .limit)
        limiter.release("")
        #expect(limiter.admit("") == nil)
    }
}
