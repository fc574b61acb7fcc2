/// Some of the members of one descriptor, by their places in ``Descriptor/everyone``.
package struct MemberSet: Hashable, Sendable {
    package private(set) var bits: UInt32

    package static let countMax = 32

    package init(bits: UInt32 = 0) {
        self.bits = bits
    }

    package var count: Int { self.bits.nonzeroBitCount }
    package var isEmpty: Bool { self.bits == 0 }

    package func contains(_ place: Int) -> Bool {
        self.bits & (1 << UInt32(place)) != 0
    }

    package mutating func insert(_ place: Int) {
        self.bits |= 1 << UInt32(place)
    }

    package func intersection(_ other: Self) -> Self { Self(bits: self.bits & other.bits) }
    package func union(_ other: Self) -> Self { Self(bits: self.bits | other.bits) }
    package func subtracting(_ other: Self) -> Self { Self(bits: self.bits & ~other.bits) }
}
