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

    @Test func perName() {
        var limiter = AttemptLimiter(attemptsPerMinute: 3)
        let all = 3 * AttemptLimiter.nameFactor
        limiter.succeeded(address: "home", name: "n")
        for index in 0..<all {
            #expect(limiter.attempt(address: "a\(index)", name: "n", now: Self.at(0)) == .allowed)
        }
        let refused = AttemptLimiter.Decision.refused(retryAfter: .seconds(2))
        #expect(limiter.attempt(address: "new", name: "n", now: Self.at(0)) == refused)
        #expect(limiter.attempt(address: "new", name: "m", now: Self.at(0)) == .allowed)
        // Where the name has logged in before, only the limits of the address hold, and whoever
        // logs in from there gives strangers nothing back.
        for _ in 0..<3 {
            #expect(limiter.attempt(address: "home", name: "n", now: Self.at(0)) == .allowed)
        }
        #expect(limiter.attempt(address: "home", name: "n", now: Self.at(0)) != .allowed)
        limiter.succeeded(address: "home", name: "n")
        #expect(limiter.attempt(address: "new", name: "n", now: Self.at(0)) == refused)
        #expect(limiter.attempt(address: "new", name: "n", now: Self.at(2)) == .allowed)
    }

    @Test func trustIsBounded() {
        var limiter = AttemptLimiter(attemptsPerMinute: 1)
        for index in 0..<AttemptLimiter.trustedCountMax {
            limiter.succeeded(address: "a\(index)", name: "n")
        }
        // One more takes the place of the first, one that is known takes none.
        limiter.succeeded(address: "a1", name: "n")
        limiter.succeeded(address: "more", name: "n")
        for index in 0..<AttemptLimiter.nameFactor {
            #expect(limiter.attempt(address: "s\(index)", name: "n", now: Self.at(0)) == .allowed)
        }
        #expect(limiter.attempt(address: "more", name: "n", now: Self.at(0)) == .allowed)
        #expect(limiter.attempt(address: "a1", name: "n", now: Self.at(0)) == .allowed)
        #expect(limiter.attempt(address: "a0", name: "n", now: Self.at(0)) != .allowed)
    }

    /// A password that was not looked at proves nothing.
    @Test func whatIsGivenBackIsNotTrusted() {
        var limiter = AttemptLimiter(attemptsPerMinute: 1)
        #expect(limiter.attempt(address: "a", name: "n", now: Self.at(0)) == .allowed)
        limiter.giveBack(address: "a", name: "n")
        for index in 0..<AttemptLimiter.nameFactor {
            #expect(limiter.attempt(address: "s\(index)", name: "n", now: Self.at(0)) == .allowed)
        }
        #expect(limiter.attempt(address: "a", name: "n", now: Self.at(0)) != .allowed)
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
        #expect(limiter.entryCount == 3)
    }

    @Test func theTableIsBounded() {
        var limiter = AttemptLimiter(attemptsPerMinute: 5)
        #expect(limiter.attempt(address: "x", name: "n", now: Self.at(0)) == .allowed)
        for _ in 0..<4 { _ = limiter.attempt(address: "x", name: "n", now: Self.at(0)) }
        // Three entries an attempt: almost full, then past it.
        let count = AttemptLimiter.entryCountMax / 3
        for index in 1..<count {
            _ = limiter.attempt(address: "a\(index)", name: "n\(index)", now: Self.at(0))
        }
        #expect(limiter.entryCount == 3 * count)
        for index in 0..<100 {
            _ = limiter.attempt(address: "b\(index)", name: "m\(index)", now: Self.at(0))
        }
        #expect(limiter.entryCount == AttemptLimiter.entryCountMax)
        // The one that used up its tokens is still remembered.
        #expect(limiter.attempt(address: "x", name: "n", now: Self.at(0)) != .allowed)
    }
}
