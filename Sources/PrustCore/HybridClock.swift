/// A hybrid logical clock: close to wall time, never going back, above everything it has seen.
///
/// Source: Kulkarni et al., Logical Physical Clocks (OPODIS 2014), with both parts in one number:
/// the upper 48 bits are milliseconds since 1970, the lower 16 count within a millisecond.
/// A full counter runs over into the next millisecond. Pure: wall time comes in as an argument.
package struct HybridClock: Sendable {
    /// How far a reading may be ahead of the local wall clock before it is refused (rule 35).
    package static let driftMax = Duration.seconds(60)

    private(set) package var last: UInt64

    package init(last: UInt64 = 0) {
        self.last = last
    }

    /// A reading above all earlier ones.
    package mutating func next(wall: WallTime) -> UInt64 {
        let physical = UInt64(clamping: wall.milliseconds) << 16
        self.last = Swift.max(self.last &+ 1, physical)
        return self.last
    }

    /// Moves the clock to at least a reading that was seen.
    ///
    /// - Parameter reading: A reading of any node's clock.
    package mutating func observe(_ reading: UInt64) {
        self.last = Swift.max(self.last, reading)
    }

    /// The wall-clock part of a reading.
    package static func wallTime(of reading: UInt64) -> WallTime {
        WallTime(milliseconds: Int64(reading >> 16))
    }
}
