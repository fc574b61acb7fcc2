import PrustCore
import Testing

@testable import PrustReplication

@Suite struct DescriptorTests {
    static func member(_ number: UInt64, index: UInt32? = nil) -> Member {
        Member(
            storage: StorageID(Identifier256(word0: number, word1: 0, word2: 0, word3: 0)),
            node: NodeID(Identifier256(word0: number, word1: 1, word2: 0, word3: 0)),
            index: index ?? UInt32(number)
        )
    }

    static func members(_ numbers: UInt64...) -> [Member] { numbers.map { Self.member($0) } }

    /// Places of storage numbers in a descriptor.
    static func set(_ descriptor: Descriptor, _ numbers: [UInt64]) -> MemberSet {
        var set = MemberSet()
        for number in numbers {
            if let place = descriptor.place(of: Self.member(number).storage) { set.insert(place) }
        }
        return set
    }

    static let quorums: [(name: String, Descriptor, answered: [UInt64], isQuorum: Bool)] = [
        ("none of one", Descriptor(epoch: 1, members: members(1)), [], false),
        ("one of one", Descriptor(epoch: 1, members: members(1)), [1], true),
        ("one of two", Descriptor(epoch: 1, members: members(1, 2)), [2], false),
        ("both of two", Descriptor(epoch: 1, members: members(1, 2)), [1, 2], true),
        ("two of three", Descriptor(epoch: 1, members: members(1, 2, 3)), [1, 3], true),
        ("two of four", Descriptor(epoch: 1, members: members(1, 2, 3, 4)), [1, 3], false),
        (
            "of M only", Descriptor(epoch: 2, members: members(1, 2, 3), next: members(3, 4, 5)),
            [1, 2, 3], false
        ),
        (
            "of M2 only", Descriptor(epoch: 2, members: members(1, 2, 3), next: members(3, 4, 5)),
            [3, 4, 5], false
        ),
        (
            "of both", Descriptor(epoch: 2, members: members(1, 2, 3), next: members(3, 4, 5)),
            [2, 3, 4], true
        ),
        (
            "of both without one in common",
            Descriptor(epoch: 2, members: members(1, 2, 3), next: members(3, 4, 5)),
            [1, 2, 4, 5], true
        ),
    ]

    @Test(arguments: quorums)
    func quorum(name: String, descriptor: Descriptor, answered: [UInt64], isQuorum: Bool) {
        #expect(descriptor.isQuorum(Self.set(descriptor, answered)) == isQuorum)
    }

    @Test func everyoneIsThereOnce() {
        let descriptor = Descriptor(
            epoch: 2,
            members: Self.members(1, 2, 3),
            next: Self.members(3, 4)
        )
        #expect(descriptor.everyone == Self.members(1, 2, 3, 4))
        #expect(descriptor.all.count == 4)
        #expect(descriptor.isNext(Self.member(3).storage))
        #expect(!descriptor.isNext(Self.member(2).storage))
    }

    @Test func listsFromOutsideAreChecked() {
        #expect(!Descriptor.isValid([]))
        #expect(Descriptor.isValid(Self.members(1)))
        #expect(!Descriptor.isValid(Self.members(1, 1)))
        #expect(!Descriptor.isValid([Self.member(1), Self.member(2, index: 1)]))
        let three = Self.members(1, 2, 3)
        #expect(Descriptor.isValid(three, next: []))
        #expect(Descriptor.isValid(three, next: Self.members(3, 4)))
        #expect(!Descriptor.isValid(three, next: [Self.member(4, index: 3)]))
        #expect(!Descriptor.isValid(three, next: [Self.member(3, index: 4)]))
        #expect(Descriptor.isValid([Self.member(1, index: .max / 2 - 1)]))
        #expect(!Descriptor.isValid([Self.member(1, index: .max / 2)]))
        let most = (1...UInt64(Descriptor.memberCountMax)).map { Self.member($0) }
        #expect(Descriptor.isValid(most))
        #expect(!Descriptor.isValid(most + [Self.member(99)]))
    }
}
