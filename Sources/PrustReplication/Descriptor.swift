package import PrustCore

/// Who holds a partition in one epoch: `stable(e, M)` or `joint(e, M, M2)` (protocol rules 1, 2).
package struct Descriptor: Hashable, Sendable {
    package let epoch: UInt32
    /// M.
    package let members: [Member]
    /// M2, empty when the descriptor is stable.
    package let next: [Member]
    /// The members of both, each once, M first; sets of members count places in it.
    package let everyone: [Member]
    private let memberSet: MemberSet
    private let nextSet: MemberSet

    /// Members of one list: two of them must fit a ``MemberSet``.
    package static let memberCountMax = MemberSet.countMax / 2

    /// Makes a descriptor.
    ///
    /// - Parameters:
    ///   - epoch: Of the partition, from 1.
    ///   - members: At least one; no storage ID and no index twice.
    ///   - next: Empty for a stable descriptor.
    package init(epoch: UInt32, members: [Member], next: [Member] = []) {
        precondition(
            Self.isValid(members, next: next),
            "a descriptor of epoch \(epoch) with members \(members) and \(next)"
        )
        self.epoch = epoch
        self.members = members
        self.next = next
        var everyone = members
        var nextSet = MemberSet()
        for member in next {
            if let place = everyone.firstIndex(where: { $0.storage == member.storage }) {
                nextSet.insert(place)
            } else {
                nextSet.insert(everyone.count)
                everyone.append(member)
            }
        }
        self.everyone = everyone
        self.memberSet = MemberSet(bits: (1 << UInt32(members.count)) - 1)
        self.nextSet = nextSet
    }

    /// Whether a list from outside can be one of a descriptor.
    package static func isValid(_ members: [Member]) -> Bool {
        guard (1...Self.memberCountMax).contains(members.count) else { return false }
        for (place, member) in members.enumerated() {
            let others = members[..<place]
            // Twice the index, and one, is a writer (rule 5).
            if member.index > .max / 2 - 1 { return false }
            if others.contains(where: { $0.storage == member.storage || $0.index == member.index })
            {
                return false
            }
        }
        return true
    }

    /// Whether two lists from outside can be those of a descriptor; an empty `next` is a stable one.
    ///
    /// Over both lists a storage has one index, and an index one storage.
    package static func isValid(_ members: [Member], next: [Member]) -> Bool {
        guard Self.isValid(members), next.isEmpty || Self.isValid(next) else { return false }
        return next.allSatisfy { member in
            members.allSatisfy { other in
                (other.storage == member.storage) == (other.index == member.index)
            }
        }
    }

    package var isJoint: Bool { !self.next.isEmpty }

    package var all: MemberSet { self.memberSet.union(self.nextSet) }

    package func place(of storage: StorageID) -> Int? {
        self.everyone.firstIndex { $0.storage == storage }
    }

    package func member(_ storage: StorageID) -> Member? {
        self.place(of: storage).map { self.everyone[$0] }
    }

    package func isNext(_ storage: StorageID) -> Bool {
        self.next.contains { $0.storage == storage }
    }

    /// Majority of M and, in a joint descriptor, majority of M2 (rule 2).
    package func isQuorum(_ set: MemberSet) -> Bool {
        self.isMajorityOfMembers(set) && (!self.isJoint || self.isMajorityOfNext(set))
    }

    package func isMajorityOfMembers(_ set: MemberSet) -> Bool {
        2 * set.intersection(self.memberSet).count > self.members.count
    }

    package func isMajorityOfNext(_ set: MemberSet) -> Bool {
        2 * set.intersection(self.nextSet).count > self.next.count
    }
}
