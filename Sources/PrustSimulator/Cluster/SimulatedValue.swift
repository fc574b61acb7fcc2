package import PrustCore
package import PrustReplication

/// Values of simulated keys are numbers, so that a checker can tell who made which.
package enum SimulatedValue {
    /// Values that increments can reach from a written one, before those of the next begin.
    package static let familyCount: Int64 = 100_000

    package static func bytes(_ number: Int64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }
    }

    package static func number(_ bytes: [UInt8]?) -> Int64? {
        bytes.map { $0.reduce(0) { $0 << 8 | Int64($1) } }
    }

    package static func content(_ number: Int64?) -> Content {
        Content(value: number.map(Self.bytes))
    }
}

/// The read-modify-writes of simulated clients.
package enum SimulatedFunction: RegisterFunction {
    /// Adds one; an absent key counts as 0.
    case increment
    case compareAndSet(expected: Int64?, new: Int64)
    case setIfAbsent(Int64)
    case getAndDelete

    /// What was there before, and whether something was written.
    package struct Answer: Hashable, Sendable {
        package var before: Int64?
        package var didWrite: Bool
    }

    /// What becomes of a value.
    package func next(_ before: Int64?) -> (after: Int64?, didWrite: Bool) {
        switch self {
        case .increment: ((before ?? 0) + 1, true)
        case .compareAndSet(let expected, let new):
            before == expected ? (new, true) : (before, false)
        case .setIfAbsent(let new): before == nil ? (new, true) : (before, false)
        case .getAndDelete: (nil, before != nil)
        }
    }

    package func apply(
        to base: Content,
        at wall: WallTime
    ) -> (write: Content?, answer: Answer) {
        let before = SimulatedValue.number(base.value)
        let (after, didWrite) = self.next(before)
        return (
            didWrite ? SimulatedValue.content(after) : nil,
            Answer(before: before, didWrite: didWrite)
        )
    }
}
