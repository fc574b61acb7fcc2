/// The right to propose in one epoch of one partition (protocol rule 4), ordered by its fields.
package struct Ballot: Hashable, Comparable, Sendable {
    package var epoch: UInt32
    package var round: UInt32
    package var index: UInt32

    package static let zero = Self(epoch: 0, round: 0, index: 0)

    @inlinable
    package init(epoch: UInt32, round: UInt32, index: UInt32) {
        self.epoch = epoch
        self.round = round
        self.index = index
    }

    @inlinable
    package static func < (left: Self, right: Self) -> Bool {
        if left.epoch != right.epoch { return left.epoch < right.epoch }
        if left.round != right.round { return left.round < right.round }
        return left.index < right.index
    }
}

/// Orders all records of one key: strong and eventual writes, hints, repair and backup alike.
///
/// Protocol rule 5. One key and version is bound to one value for ever.
package struct Version: Hashable, Comparable, Sendable {
    package var term: Ballot
    /// Hybrid logical time, see ``HybridClock``.
    package var hlc: UInt64
    /// `2 * index + 1` for the SETs of a primary, `2 * index` for quorum and eventual writes.
    package var writer: UInt32
    /// Orders a read-modify-write directly after its base (carstamps of Gryff, NSDI 2020).
    package var count: UInt32

    /// The version of a key that has no record.
    package static let zero = Self(term: .zero, hlc: 0, writer: 0, count: 0)

    @inlinable
    package init(term: Ballot, hlc: UInt64, writer: UInt32, count: UInt32) {
        self.term = term
        self.hlc = hlc
        self.writer = writer
        self.count = count
    }

    @inlinable
    package static func < (left: Self, right: Self) -> Bool {
        if left.term != right.term { return left.term < right.term }
        if left.hlc != right.hlc { return left.hlc < right.hlc }
        if left.writer != right.writer { return left.writer < right.writer }
        return left.count < right.count
    }
}

extension Version: CustomStringConvertible {
    /// `term-hlc-writer-c` in hexadecimal, the term being `epoch.round.index`.
    package var description: String {
        func hex(_ value: some BinaryInteger) -> String { String(value, radix: 16) }
        let term = "\(hex(self.term.epoch)).\(hex(self.term.round)).\(hex(self.term.index))"
        return "\(term)-\(hex(self.hlc))-\(hex(self.writer))-\(hex(self.count))"
    }

    /// Bytes of the longest ``description``: five numbers of 32 bits, one of 64, dots and hyphens.
    package static let textByteCountMax = 5 * 8 + 16 + 5

    /// Reads the form that ``description`` writes.
    ///
    /// - Parameter text: The text; anything else gives `nil`.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= Self.textByteCountMax else { return nil }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        let term = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        guard term.count == 3,
            let epoch = UInt32(term[0], radix: 16),
            let round = UInt32(term[1], radix: 16),
            let index = UInt32(term[2], radix: 16),
            let hlc = UInt64(parts[1], radix: 16),
            let writer = UInt32(parts[2], radix: 16),
            let count = UInt32(parts[3], radix: 16)
        else { return nil }
        self.init(
            term: Ballot(epoch: epoch, round: round, index: index),
            hlc: hlc,
            writer: writer,
            count: count
        )
    }
}
