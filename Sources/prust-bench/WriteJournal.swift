/// What was written to some keys and what was acknowledged, to judge what a read gives later.
///
/// Each key is written by one connection, one write at a time, with numbers that only grow; so a
/// read must give the last acknowledged write or a later one that was tried. Once a read has given
/// a write, no later read may give an older one: that write counts as acknowledged from then on.
///
/// Pure: no clock, no randomness, no connection.
struct WriteJournal: Sendable {
    enum Verdict: Hashable, Sendable {
        case right
        /// An acknowledged write is gone: the key is missing or holds an older write.
        case lost
        /// The value is none that was ever written to this key.
        case changed
    }

    private struct Entry {
        var tried: UInt64 = 0
        var floor: UInt64 = 0
    }

    private var entries: [Entry]
    private(set) var triedCount = 0
    private(set) var acknowledgedCount = 0

    init(keyCount: Int) {
        self.entries = Array(repeating: Entry(), count: keyCount)
    }

    var keyCount: Int { self.entries.count }

    /// Whether anything was ever tried on a key.
    func isTouched(_ key: Int) -> Bool { self.entries[key].tried > 0 }

    /// Notes that a key is about to be written, and gives the write its number.
    mutating func begin(_ key: Int) -> UInt64 {
        self.entries[key].tried += 1
        self.triedCount += 1
        return self.entries[key].tried
    }

    /// Notes that a write was acknowledged.
    mutating func acknowledge(_ key: Int, write: UInt64) {
        precondition(write <= self.entries[key].tried, "write \(write) was never tried")
        self.entries[key].floor = max(self.entries[key].floor, write)
        self.acknowledgedCount += 1
    }

    /// Judges what a read gave.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - write: Number of the write whose value came; 0 for a missing key; `nil` for a value that
    ///     is none of this key's.
    /// - Returns: Whether it may be so.
    mutating func judge(_ key: Int, read write: UInt64?) -> Verdict {
        guard let write, write <= self.entries[key].tried else { return .changed }
        guard write >= self.entries[key].floor else { return .lost }
        self.entries[key].floor = write
        return .right
    }
}
