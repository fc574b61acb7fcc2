import PrustCore

extension Engine {
    /// The version of a new record on a base (protocol rule 16).
    ///
    /// A blind SET gets the newest time, so that it outranks whatever is there. A
    /// read-modify-write comes directly after its base, so that every later blind write outranks
    /// it. The only member of its group, this node never issues a version twice: each start has a
    /// new term, and within one the base of a key is what was issued last.
    @inline(__always)
    func nextVersion(after base: Version, hlc: UInt64, isBlind: Bool) -> Version {
        let term = self.term
        let writer = 2 * term.index + 1
        if isBlind { return Version(term: term, hlc: hlc, writer: writer, count: 0) }
        guard base.term == term else { return Version(term: term, hlc: 0, writer: 0, count: 1) }
        // A count that is used up goes on with a new time, above every version before.
        guard base.count < .max else {
            return Version(term: term, hlc: hlc, writer: writer, count: 0)
        }
        return Version(term: term, hlc: base.hlc, writer: base.writer, count: base.count + 1)
    }
}
