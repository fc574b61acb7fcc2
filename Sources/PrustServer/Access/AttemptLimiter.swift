package import PrustCore

/// Limits wrong passwords: per address and name, per address over all names, and per name over all
/// addresses from which it has not logged in.
///
/// Token buckets, each kept as the time at which it is full again (GCRA). An attempt takes a token
/// of each before the password is looked at, and a right password gives them back, so that clients
/// that reconnect are not held up. An address from which a name has logged in needs no token of
/// the name: whoever guesses from elsewhere cannot lock it out. Pure: `now` comes in. Invariant: at
/// most `entryCountMax` entries and `trustedCountMax` trusted pairs.
package struct AttemptLimiter: Sendable {
    package enum Decision: Equatable, Sendable {
        case allowed
        case refused(retryAfter: Duration)
    }

    private struct Slot {
        var key: String
        /// When all tokens are back.
        var fullAt: MonotonicInstant
    }

    package static let entryCountMax = 8_192
    /// Tokens of an address, in multiples of those of an address and name.
    package static let addressFactor = 10
    /// Tokens of a name, in multiples of those of an address and name.
    package static let nameFactor = 10
    /// Pairs of address and name that are remembered to have logged in.
    package static let trustedCountMax = 8_192
    private static let windowNanoseconds: Int64 = 60_000_000_000

    private var perMinute: Int64
    private var slots: [Slot] = []
    private var indexOf: [String: Int] = [:]
    private var trusted: Set<String> = []
    /// The trusted pairs as a ring; the next one replaces the oldest.
    private var trustedRing: [String] = []
    private var trustedNext = 0

    /// - Parameter attemptsPerMinute: Tokens of one address and name, at least 1.
    package init(attemptsPerMinute: Int) {
        self.perMinute = Int64(max(1, min(attemptsPerMinute, 1_000_000)))
    }

    package var entryCount: Int { self.slots.count }

    /// Takes another limit; what was used up stays so.
    package mutating func setAttempts(perMinute: Int) {
        self.perMinute = Int64(max(1, min(perMinute, 1_000_000)))
    }

    /// Takes a token of each bucket, if each has one.
    package mutating func attempt(
        address: String,
        name: String,
        now: MonotonicInstant
    ) -> Decision {
        let buckets = self.buckets(address: address, name: name)
        var wait: Int64 = 0
        for (key, interval) in buckets {
            guard let index = self.indexOf[key] else { continue }
            let debt = self.slots[index].fullAt.nanoseconds &- now.nanoseconds
            wait = max(wait, debt &+ interval &- Self.windowNanoseconds)
        }
        guard wait <= 0 else { return .refused(retryAfter: .nanoseconds(wait)) }
        for (key, interval) in buckets { self.take(interval, key: key, now: now) }
        return .allowed
    }

    /// The password was right: what ``attempt(address:name:now:)`` took comes back, and the name is
    /// trusted from this address.
    package mutating func succeeded(address: String, name: String) {
        self.giveBack(address: address, name: name)
        self.trust(Self.pair(address, name))
    }

    /// Gives back what ``attempt(address:name:now:)`` took: the password was not looked at.
    package mutating func giveBack(address: String, name: String) {
        for (key, interval) in self.buckets(address: address, name: name) {
            guard let index = self.indexOf[key] else { continue }
            self.slots[index].fullAt.nanoseconds &-= interval
        }
    }

    private func buckets(address: String, name: String) -> [(key: String, interval: Int64)] {
        let interval = Self.windowNanoseconds / self.perMinute
        let pair = Self.pair(address, name)
        // Addresses are not empty and hold no blank, so keys of two kinds are never equal.
        var buckets = [
            (key: pair, interval: interval),
            (key: address, interval: interval / Int64(Self.addressFactor)),
        ]
        if !self.trusted.contains(pair) {
            buckets.append((key: " \(name)", interval: interval / Int64(Self.nameFactor)))
        }
        return buckets
    }

    private static func pair(_ address: String, _ name: String) -> String { "\(address) \(name)" }

    private mutating func trust(_ pair: String) {
        guard self.trusted.insert(pair).inserted else { return }
        guard self.trustedRing.count == Self.trustedCountMax else {
            self.trustedRing.append(pair)
            return
        }
        self.trusted.remove(self.trustedRing[self.trustedNext])
        self.trustedRing[self.trustedNext] = pair
        self.trustedNext = (self.trustedNext + 1) % Self.trustedCountMax
    }

    private mutating func take(_ interval: Int64, key: String, now: MonotonicInstant) {
        if let index = self.indexOf[key] {
            let from = max(self.slots[index].fullAt, now)
            self.slots[index].fullAt.nanoseconds = from.nanoseconds &+ interval
            return
        }
        let slot = Slot(key: key, fullAt: .init(nanoseconds: now.nanoseconds &+ interval))
        if self.slots.count < Self.entryCountMax {
            self.indexOf[key] = self.slots.count
            self.slots.append(slot)
            return
        }
        // The entry with the most tokens loses least by being forgotten.
        var victim = 0
        for index in self.slots.indices where self.slots[index].fullAt < self.slots[victim].fullAt {
            victim = index
        }
        self.indexOf[self.slots[victim].key] = nil
        self.indexOf[key] = victim
        self.slots[victim] = slot
    }
}
