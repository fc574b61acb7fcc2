import PrustCore
import PrustReplication
import Testing

@testable import PrustSimulator

@Suite struct LinearizabilityCheckerTests {
    typealias Entry = History.Entry
    static let version = Version(term: .zero, hlc: 1, writer: 1, count: 0)
    static let first = SimulatedValue.familyCount
    static let second = 2 * SimulatedValue.familyCount

    static func write(
        _ value: Int64?,
        _ from: Int64,
        _ to: Int64?,
        _ level: Level = .strong
    ) -> Entry {
        Entry(
            key: 0,
            level: level,
            kind: .write(SimulatedValue.content(value)),
            calledAt: from,
            returnedAt: to,
            result: to == nil ? .unknown : .written(Self.version)
        )
    }

    static func read(_ value: Int64?, _ from: Int64, _ to: Int64) -> Entry {
        Entry(
            key: 0,
            level: .strong,
            kind: .read,
            calledAt: from,
            returnedAt: to,
            result: .read(value, Self.version)
        )
    }

    static func increment(_ before: Int64?, _ from: Int64, _ to: Int64) -> Entry {
        Entry(
            key: 0,
            level: .strong,
            kind: .apply(.increment),
            calledAt: from,
            returnedAt: to,
            result: .applied(.init(before: before, didWrite: true), Self.version)
        )
    }

    static let table: [(name: String, [Entry], LinearizabilityChecker.Verdict)] = [
        ("nothing", [], .linearizable),
        ("a key is absent at first", [read(nil, 0, 1)], .linearizable),
        ("a write is seen", [write(first, 0, 1), read(first, 2, 3)], .linearizable),
        ("a write is missed", [write(first, 0, 1), read(nil, 2, 3)], .notLinearizable),
        ("a read may come before", [write(first, 0, 5), read(nil, 1, 3)], .linearizable),
        (
            "nobody goes back",
            [write(first, 0, 9), read(first, 1, 2), read(nil, 3, 4)], .notLinearizable
        ),
        ("an unknown write is seen", [write(first, 0, nil), read(first, 5, 6)], .linearizable),
        ("an unknown write is missed", [write(first, 0, nil), read(nil, 5, 6)], .linearizable),
        (
            "an unknown write is seen and undone",
            [write(first, 0, nil), read(first, 1, 2), read(nil, 3, 4)], .notLinearizable
        ),
        (
            "an unknown write may come late",
            [
                write(first, 0, nil), write(second, 1, 2), read(second, 3, 4), read(first, 5, 6),
            ], .linearizable
        ),
        (
            "a deletion of nothing may come later",
            [write(nil, 0, 1), write(first, 2, 9), write(nil, 2, 9), read(nil, 10, 11)],
            .linearizable
        ),
        (
            "one increment is not two",
            [increment(nil, 0, 1), read(2, 2, 3)], .notLinearizable
        ),
        (
            "two increments on one base",
            [increment(nil, 0, 5), increment(nil, 1, 6)], .notLinearizable
        ),
        (
            "an eventual write may be lost",
            [write(first, 0, 1, .eventual), read(nil, 2, 3)], .linearizable
        ),
        (
            "an eventual write that was seen stays",
            [write(first, 0, 1, .eventual), read(first, 2, 3), read(nil, 4, 5)], .notLinearizable
        ),
        (
            "a quorum write must be seen",
            [write(first, 0, 1, .quorum), read(nil, 2, 3)], .notLinearizable
        ),
        ("a value from nowhere", [read(first, 0, 1)], .notLinearizable),
    ]

    @Test(arguments: table)
    func verdict(name: String, entries: [Entry], expected: LinearizabilityChecker.Verdict) {
        #expect(LinearizabilityChecker.check(entries) == expected, "\(name)")
    }

    @Test func tooManyCallsAreNotJudged() {
        let reads = (0..<257).map { Self.read(nil, Int64($0), Int64($0) + 1) }
        #expect(LinearizabilityChecker.check(Array(reads.prefix(256))) == .linearizable)
        #expect(LinearizabilityChecker.check(reads) == .undecided)
    }
}
