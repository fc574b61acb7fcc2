/// How consistent an operation is; the contract is in the design, section 6.
public enum Level: String, Hashable, Sendable, CaseIterable {
    /// Answered by one member after its own disk; spreads later. Reads may be stale.
    case eventual
    /// A quorum of the members, in real-time order, without the primary.
    case quorum
    /// All members.
    case all
    /// Linearizable; the default, and usually the cheaper one too.
    case strong
}
