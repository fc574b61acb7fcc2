package import PrustCore

/// One step of SCAN.
package struct ScanRequest: Sendable {
    /// The upper 64 bits of the key ID to go on from; 0 at the start.
    package var cursor: UInt64
    package var count: Int
    package var pattern: [UInt8]?
    /// False if the caller asked for a type that no value has.
    package var matchesType: Bool
    package var wall: WallTime

    package init(
        cursor: UInt64,
        count: Int,
        pattern: [UInt8]?,
        matchesType: Bool,
        wall: WallTime
    ) {
        self.cursor = cursor
        self.count = count
        self.pattern = pattern
        self.matchesType = matchesType
        self.wall = wall
    }
}

package struct ScanResult: Sendable {
    /// 0 when the walk is over.
    package var cursor: UInt64
    package var keys: [[UInt8]]
    /// The newest record in memory that was looked at; the answer depends on it.
    package var newestSequence: UInt64 = 0
}

/// What one step of SCAN may use up, whatever COUNT says: it ends with a cursor then.
///
/// Keys that share the upper 64 bits of their IDs are visited together, and one key always is, so
/// a step goes beyond this by no more than that.
package struct ScanBudget {
    /// A pattern can cost millions of comparisons a key, and others wait for the disk thread.
    package var nanosecondsMax: Int64 = 20_000_000
    /// Bytes of the keys that are returned.
    package var keyByteCountMax = 1024 * 1024
    /// Bytes of the records that are read for their keys.
    package var readByteCountMax = 16 * 1024 * 1024
    /// Keys that are taken from memory, and rows from the index, at once: every look into the
    /// index waits meanwhile.
    package var rowCountMax = 1_000
    /// Reads the monotonic clock.
    package var now: () -> MonotonicInstant = { Clocks.monotonic() }

    package init() {}
}
