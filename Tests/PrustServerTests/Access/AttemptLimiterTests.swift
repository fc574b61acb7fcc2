import PrustCore
import Testing

@testable import PrustServer

@Suite struct AttemptLimiterTests {
    static func at(_ seconds: Int64) -> MonotonicInstant { MonotonicInstant(seconds: seconds) }

    @Test(arguments: [1, 2, 10, 600])
    func perAddressAndName(attempts: Int) {
        var limiter = AttemptLimiter(attemptsPerMinute: attempts)
        for _ in 0..<attempts {
            #expect(limiter.attempt(address: "a", name: "n", now: Self.at(50)) == .allowed)
        }
        let wait = Duration.nanoseconds(60_000_000_000 / Int64(attempts))
        let refused = AttemptLimiter.Decision.refused(retryAfter: wait)
        #expect(limiter.attempt(address: "a", name: "n", now: Self.at(50)) == refused)
        // Others are not concerned: another name, another address.
        #expect(limiter.attempt(address: "a", name: "m", now: Self.at(50)) == .allowed)
        #expect(limiter.attempt(address: "b", name: "n", now: Self.at(50)) == .allowed)
        // One token is back after its time, not before; all are after a minute.
        var early = Self.at(50)
        early.nanoseconds += 60_000_000_000 / Int64(attempts) - 1
        #expect(limiter.attempt(address: "a", name: "n", now: early) != .allowed)
        early.nanoseconds += 1
        #expect(limiter.attempt(address: "a", name: "n", now: early) == .allowed)
        #expect(limiter.attempt(address: "a", name: "n", now: early) != .allowed)
    }

    @Test func perAddress() {
        var limiter = AttemptLimiter(attemptsPerMinute: 3)
        let all = 3 * AttemptLimiter.addressFactor
        for index in 0..<all {
            #expect(limiter.attempt(address: "a", name: "n\(index)", now: Self.at(0)) == .allowed)
        }
        let refused = AttemptLimiter.Decision.refused(retryAfter: .seconds(2))
        #expect(limiter.attempt(address: "a", name: "new", now: Self.at(0)) == refused)
        #expect(limiter.attempt(address: "a", name: "new", now: Self.at(2)) == .allowed)
    }

    @Test func refusedAttemptsTakeNothing() {
        var limiter = AttemptLimiter(attemptsPerMinute: 1)
        #expect(limiter.attempt(address: "a", name: "n", now: Self.at(0)) == .allowed)
        for second in 1..<60 as Range<Int64> {
            let refused = AttemptLimiter.Decision.refused(retryAfter: .seconds(60 - second))
            #expect(limiter.attempt(address: "a", name: "n", now: Self.at(second)) == refused)
        }
        #expect(limiter.attempt(address: "a", name: "n", now: Self.at(60)) == .allowed)
    }

    @Test func successGivesTheTokensBack() {
        var limiter = AttemptLimiter(attemptsPerMinute: 1)
        for _ in 0..<100 {
            #expect(limiter.attempt(address: "a", name: "n", now: Self.at(0)) == .allowed)
            limiter.succeeded(address: "a", name: "n")
        }
        limiter.succeeded(address: "unknown", name: "n")
        #expect(limiter.entryCount == 2)
    }

    @Test func theTableIsBounded() {
        var limiter = AttemptLimiter(attemptsPerMinute: 5)
        #expect(limiter.attempt(address: "x", name: "n", now: Self.at(0)) == .allowed)
        for _ in 0..<4 { _ = limiter.attempt(address: "x", name: "n", now: Self.at(0)) }
        // Two entries an attempt: exactly full, then past it.
        for index in 0..<AttemptLimiter.entryCountMax / 2 - 1 {
            _ = limiter.attempt(address: "a\(index)", name: "n", now: Self.at(0))
        }
        #expect(limiter.entryCount == AttemptLimiter.entryCountMax)
        for index in 0..<200 {
            _ = limiter.attempt(address: "b\(index)", name: "n", now: Self.at(0))
        }
        #expect(limiter.entryCount == AttemptLimiter.entryCountMax)
        // The one that used up its tokens is still remembered.
        #expect(limiter.attempt(address: "x", name: "n", now: Self.at(0)) != .allowed)
    }
}
