import Testing

@testable import PrustDBClient

@Suite struct NodeTurnsTests {
    enum Event: Sendable {
        case succeeded
        case failed(NodeAddress, ClientError)
    }

    static let first = NodeAddress(host: "first", port: 8000)
    static let second = NodeAddress(host: "second", port: 8000)
    static let refused = ClientError(.connectionLost, "connection refused")
    static let expired = ClientError(.tls, "certificate has expired")
    static let unknown = ClientError(.authenticationFailed, "no such user")

    static func turns(_ events: [Event]) -> NodeTurns {
        var turns = NodeTurns([Self.first, Self.second])
        for event in events {
            switch event {
            case .succeeded: turns.succeeded()
            case .failed(let node, let error): turns.failed(node, error)
            }
        }
        return turns
    }

    static let table: [(name: String, events: [Event], isHopeless: Bool, code: ClientError.Code?)] =
        [
            ("nothing tried", [], false, nil),
            ("one of two refused", [.failed(first, refused)], false, .connectionLost),
            ("one of two expired", [.failed(first, expired)], false, .tls),
            (
                "one of two, twice", [.failed(first, refused), .failed(first, refused)], false,
                .connectionLost
            ),
            (
                "both refused", [.failed(first, refused), .failed(second, refused)], true,
                .connectionLost
            ),
            (
                "what does not mend itself is told first",
                [.failed(second, unknown), .failed(first, refused)], true, .authenticationFailed
            ),
            (
                "a success forgets",
                [.failed(first, expired), .failed(second, refused), .succeeded], false, nil
            ),
            (
                "a node that was there may come back",
                [.succeeded, .failed(first, refused), .failed(second, refused)], false,
                .connectionLost
            ),
            (
                "one may come back, the other not",
                [.succeeded, .failed(first, refused), .failed(second, expired)], false, .tls
            ),
            (
                "neither comes back by waiting",
                [.succeeded, .failed(first, unknown), .failed(second, expired)], true,
                .authenticationFailed
            ),
            (
                "the latest failure of a node counts",
                [
                    .succeeded, .failed(first, refused), .failed(second, expired),
                    .failed(first, expired),
                ], true, .tls
            ),
        ]

    @Test(arguments: table)
    func waitingEndsWhenEveryNodeHasFailed(
        name: String,
        events: [Event],
        isHopeless: Bool,
        code: ClientError.Code?
    ) {
        let turns = Self.turns(events)
        #expect(turns.isHopeless == isHopeless, "\(name)")
        #expect(turns.error?.code == code, "\(name)")
    }

    @Test func nodesThatHaveNotFailedComeFirst() {
        var turns = Self.turns([])
        #expect((0..<3).map { turns.node(slot: $0) } == [Self.first, Self.second, Self.first])
        turns.failed(Self.first, Self.expired)
        #expect((0..<3).map { turns.node(slot: $0) } == Array(repeating: Self.second, count: 3))
        turns.failed(Self.second, Self.refused)
        #expect((0..<2).map { turns.node(slot: $0) } == [Self.first, Self.second])
        turns.failed(Self.first, Self.expired)
        #expect((0..<2).map { turns.node(slot: $0) } == [Self.second, Self.first])
    }

    @Test func aNodeThatIsNamedTwiceIsOne() {
        var turns = NodeTurns([Self.first, Self.first])
        turns.failed(Self.first, Self.refused)
        #expect(turns.isHopeless)
    }
}
