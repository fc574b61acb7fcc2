/// The fixed buckets of a histogram: powers of two or four of a smallest bound.
///
/// Powers are used so that a value finds its bucket by counting leading zeros, without a search.
package enum HistogramScale: Sendable, CaseIterable {
    /// Durations recorded in nanoseconds, exposed in seconds: 1 µs, 2 µs, ... 67.1 s.
    case seconds
    /// Sizes in bytes: 64 B, 256 B, ... 64 MiB.
    case bytes
    /// Counts of things: 1, 2, ... 65,536.
    case count

    /// Buckets with a finite bound.
    @usableFromInline package var bucketCount: Int {
        switch self {
        case .seconds: 27
        case .bytes: 11
        case .count: 17
        }
    }

    /// The bucket of a value; the number of finite buckets stands for the one without a bound.
    @inlinable
    package func bucket(of value: UInt64) -> Int {
        switch self {
        case .seconds:
            min(Self.exponent(of: value / 1000 &+ (value % 1000 == 0 ? 0 : 1)), 27)
        case .bytes:
            min((max(Self.exponent(of: value), 6) &- 5) >> 1, 11)
        case .count:
            min(Self.exponent(of: value), 17)
        }
    }

    /// The bound of a bucket in the unit that is recorded: nanoseconds, bytes or things.
    package func bound(of bucket: Int) -> UInt64 {
        precondition(bucket >= 0 && bucket < self.bucketCount, "no bucket \(bucket) in \(self)")
        switch self {
        case .seconds: return 1000 << UInt64(bucket)
        case .bytes: return 64 << UInt64(2 * bucket)
        case .count: return 1 << UInt64(bucket)
        }
    }

    /// What a recorded number is divided by to give the unit that is exposed.
    package var divisor: Double {
        switch self {
        case .seconds: 1_000_000_000
        case .bytes, .count: 1
        }
    }

    /// The smallest `n` with `value <= 1 << n`; 0 for 0 and 1.
    @inlinable
    package static func exponent(of value: UInt64) -> Int {
        value <= 1 ? 0 : UInt64.bitWidth &- (value &- 1).leadingZeroBitCount
    }
}
