/// Says which node to try next, and when there is none left to wait for.
///
/// Pure: reads no clock, draws no randomness, does no I/O. The nodes are tried in turn, first those
/// that have not failed since the last success, because what is wrong at one node, its certificate
/// included, may be right at another.
struct NodeTurns: Sendable {
    private let nodes: [NodeAddress]
    /// The last failure of each node since the last success of any.
    private var failures: [NodeAddress: ClientError] = [:]
    private var lastFailure: ClientError?
    private var failureCount = 0
    private var hasConnected = false

    /// Takes the nodes in the order in which they are tried.
    ///
    /// - Parameter nodes: At least one; a node that is named twice is one node.
    init(_ nodes: [NodeAddress]) {
        precondition(!nodes.isEmpty, "a client has a node")
        var known: Set<NodeAddress> = []
        self.nodes = nodes.filter { known.insert($0).inserted }
    }

    /// Whether there is nothing to wait for: all nodes have failed since the last success.
    ///
    /// A client that never reached anyone says so once it has tried every node. One that had a
    /// connection waits for a node to come back, unless what is wrong at each of them is not mended
    /// by waiting.
    var isHopeless: Bool {
        self.nodes.allSatisfy { node in
            guard let failure = self.failures[node] else { return false }
            return !self.hasConnected || Self.isPermanent(failure)
        }
    }

    /// Why there is no connection: first what waiting does not mend, else the last failure.
    var error: ClientError? {
        self.nodes.lazy.compactMap { self.failures[$0] }.first { Self.isPermanent($0) }
            ?? self.lastFailure
    }

    /// The node of the next attempt in a place of the pool; other places begin at other nodes.
    func node(slot: Int) -> NodeAddress {
        let first = (self.failureCount + slot) % self.nodes.count
        let turns = self.nodes[first...] + self.nodes[..<first]
        return turns.first { self.failures[$0] == nil } ?? self.nodes[first]
    }

    /// A connection was made.
    mutating func succeeded() {
        self.hasConnected = true
        self.failures.removeAll()
        self.lastFailure = nil
    }

    /// A connection could not be made.
    mutating func failed(_ node: NodeAddress, _ error: ClientError) {
        self.failures[node] = error
        self.lastFailure = error
        self.failureCount += 1
    }

    private static func isPermanent(_ error: ClientError) -> Bool {
        switch error.code {
        case .tls, .authenticationFailed, .permissionDenied: true
        default: false
        }
    }
}
