package import PrustCore

/// How much a client asks for (Docs/design/replication.md, the contract).
package enum Level: UInt8, Hashable, Sendable, CaseIterable {
    case eventual
    case quorum
    case all
    case strong
}

package struct OperationID: Hashable, Comparable, Sendable {
    package var number: UInt64

    package init(_ number: UInt64) {
        self.number = number
    }

    package static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}

/// One operation on one key.
package struct Operation<Function: RegisterFunction>: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case read
        case write(Content)
        /// Always at `strong`.
        case apply(Function)
    }

    package var id: OperationID
    package var key: KeyID
    package var level: Level
    package var kind: Kind
    /// When its outcome must be known.
    package var deadline: MonotonicInstant

    package init(
        id: OperationID,
        key: KeyID,
        level: Level,
        kind: Kind,
        deadline: MonotonicInstant
    ) {
        self.id = id
        self.key = key
        self.level = level
        self.kind = kind
        self.deadline = deadline
    }
}

/// What became of an operation.
package enum Outcome<Function: RegisterFunction>: Hashable, Sendable {
    case read(Content, Version)
    case written(Version)
    case applied(Function.Answer, Version)
    /// Certainly without effect: it may be sent again.
    case notApplied(Reason)
    /// It may take effect at any later time, or never, but not twice.
    case unknown(Reason)

    package enum Reason: Hashable, Sendable {
        case notMember
        case noQuorum
        case steppedDown
        /// Somebody promised or wrote at a higher ballot meanwhile.
        case outbid
        case newEpoch
        case deadline
        case overload
    }
}
