package import PrustCore

/// Limits wrong passwords: per address and name, and per address over all names.
///
/// Two token buckets, each kept as the time at which it is full again (GCRA). An attempt takes a
/// token before the password is looked at, and a right password gives it back, so that clients
/// that reconnect are not held up. Pure: `now` comes in. Invariant: at most
/// `entryCountMax` entries.
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
    private static let windowNanoseconds: Int64 = 60_000_000_000

    private var perMinute: Int64
    private var slots: [Slot] = []
    private var indexOf: [String: Int] = [:]

    /// - Parameter attemptsPerMinute: Tokens of one address and name, at least 1.
    package init(attemptsPerMinute: Int) {
        self.perMinute = Int64(max(1, min(attemptsPerMinute, 1_000_000)))
    }

    package var entryCount: Int { self.slots.count }

    /// Takes another limit; what was used up stays so.
    package mutating func setAttempts(perMinute: Int) {
        self.perMinute = Int64(max(1, min(perMinute, 1_000_000)))
    }

    /// Takes a token of both buckets, if both have one.
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

    /// Gives back what ``attempt(address:name:now:)`` took: the password was right.
    package mutating func succeeded(address: String, name: String) {
        for (key, interval) in self.buckets(address: address, name: name) {
            guard let index = self.indexOf[key] else { continue }
            self.slots[index].fullAt.nanoseconds &-= interval
        }
    }

    private func buckets(address: String, name: String) -> [(key: String, interval: Int64)] {
        let interval = Self.windowNanoseconds / self.perMinute
        // Addresses hold no blank, so the two kinds of keys are never equal.
        return [
            ("\(address) \(name)", interval),
            (address, interval / Int64(Self.addressFactor)),
        ]
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
