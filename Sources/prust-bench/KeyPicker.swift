import PrustCore

/// Picks key numbers from 0 up to a count, by a distribution, the same for the same seed.
///
/// Source of Zipf: Gray et al. 1994, "Quickly generating billion-record synthetic databases", as in
/// YCSB; ranks are scattered over the key numbers so that the hot keys do not lie side by side.
struct KeyPicker: Sendable {
    private struct Zipf {
        let theta: Double
        let alpha: Double
        let zeta: Double
        let eta: Double
        let half: Double
    }

    let count: Int
    private let zipf: Zipf?
    private let isSequential: Bool
    private let stride: Int
    private var position: Int

    /// A picker.
    ///
    /// - Parameters:
    ///   - distribution: How the numbers are picked.
    ///   - count: Numbers to pick from, at least 1.
    ///   - start: Where a sequential picker begins.
    ///   - stride: Distance of a sequential picker's numbers, so that several share the work.
    init(_ distribution: DistributionArgument, count: Int, start: Int = 0, stride: Int = 1) {
        precondition(count > 0 && stride > 0 && start >= 0, "a picker picks from something")
        self.count = count
        self.position = start % count
        self.stride = stride
        switch distribution {
        case .uniform:
            self.zipf = nil
            self.isSequential = false
        case .sequential:
            self.zipf = nil
            self.isSequential = true
        case .zipf(let theta):
            self.zipf = Self.zipf(count: count, theta: theta)
            self.isSequential = false
        }
    }

    /// The next number.
    mutating func next(using random: inout SeededRandom) -> Int {
        if self.isSequential {
            let number = self.position
            self.position = (self.position + self.stride) % self.count
            return number
        }
        guard let zipf = self.zipf else { return Self.uniform(self.count, using: &random) }
        return self.scatter(self.rank(zipf, using: &random))
    }

    /// The next number's rank by frequency, 0 the most frequent; only for Zipf.
    mutating func nextRank(using random: inout SeededRandom) -> Int? {
        self.zipf.map { self.rank($0, using: &random) }
    }

    static func uniform(_ count: Int, using random: inout SeededRandom) -> Int {
        // The high half of the product is uniform but for 2^-44 or less, and needs no division.
        Int(truncatingIfNeeded: random.next().multipliedFullWidth(by: UInt64(count)).high)
    }

    private func rank(_ zipf: Zipf, using random: inout SeededRandom) -> Int {
        let unit = Double(random.next() >> 11) * 0x1p-53
        let scaled = unit * zipf.zeta
        if scaled < 1 { return 0 }
        if scaled < 1 + zipf.half { return min(1, self.count - 1) }
        let base = zipf.eta * unit - zipf.eta + 1
        return min(self.count - 1, Int(Double(self.count) * Power.raise(base, to: zipf.alpha)))
    }

    private func scatter(_ rank: Int) -> Int {
        var mixed = UInt64(rank) &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        return Int(truncatingIfNeeded: mixed.multipliedFullWidth(by: UInt64(self.count)).high)
    }

    private static func zipf(count: Int, theta: Double) -> Zipf {
        var zeta = 0.0
        for index in 1...count { zeta += 1 / Power.raise(Double(index), to: theta) }
        let half = Power.raise(0.5, to: theta)
        let alpha = 1 / (1 - theta)
        let edge = 1 - Power.raise(2 / Double(count), to: 1 - theta)
        let eta = count > 2 ? edge / (1 - (1 + half) / zeta) : 1
        return Zipf(theta: theta, alpha: alpha, zeta: zeta, eta: eta, half: half)
    }
}
