package import PrustCore

/// One member's part in one partition: acceptor of ballots, and primary when it holds one.
///
/// Source: the replication protocol, rule by rule (Docs/design/replication.md); Lamport, Paxos Made
/// Simple (2001); Rystsov, CASPaxos (2018); Burke et al., Gryff (NSDI 2020). Pure: reads no clock,
/// draws no randomness, does no I/O. Invariant: what a message or an outcome reveals has a mark,
/// and the driver lets it out only when that mark is durable.
package struct Replica<Function: RegisterFunction>: Sendable {
    package typealias Effects = [ReplicaEffect<Function>]

    package struct Options: Sendable {
        /// Time after which an unanswered request is sent again.
        package var resendAfter = Duration.milliseconds(40)
        /// Times that a request is sent before its round is given up.
        package var sendCountMax = 5
        /// Operations that may wait or be under way.
        package var operationCountMax = 10_000
        /// Operations on one key that share a round.
        package var batchCountMax = 64
        /// Keys that the primary remembers the newest record of.
        package var knownCountMax = 100_000
        /// Keys of one page of a pull.
        package var pageCountMax = 1_000
        package var flaw = Flaw.none

        package init() {}
    }

    /// One operation or several on one key that share their rounds.
    struct Batch: Sendable {
        /// What one of the versions that were issued for the batch would have answered.
        struct Attempt: Sendable {
            var version: Version
            var content: Content
            var outcomes: [Outcome<Function>]
        }

        var operations: [Operation<Function>]
        var attempts: [Attempt] = []
        var restartCount = 0
    }

    /// The operations on one key: one batch at a time.
    struct Lane: Sendable {
        var queue: [Operation<Function>] = []
        var current: Batch?
    }

    struct Primary: Sendable {
        let ballot: Ballot
        var isLeading = false
        /// The accepted descriptor of the highest ballot among the promises.
        var accepted: AcceptedDescriptor?
        var known: [KeyID: Register] = [:]
        var lanes: [KeyID: Lane] = [:]
        /// The highest count of a version issued under this ballot (rule 16).
        var issuedCount: UInt32 = 0
        /// A change of the descriptor is under way.
        var proposed: Descriptor?
        var isFinalizing = false
        /// Keys with something to do at the end of the turn.
        var keysToPump: [KeyID] = []
        var keysToSet: [KeyID] = []
        var keysToRead: [KeyID] = []
        var keysToConfirm: [KeyID] = []
    }

    /// A read or write at `quorum` or `all`.
    struct QuorumOperation: Sendable {
        var operation: Operation<Function>
        var highest = Register.none
        var floor = Ballot.zero
        var version: Version?
    }

    package let storage: StorageID
    package let options: Options
    package internal(set) var state: ReplicaState
    package internal(set) var clock: HybridClock
    var primary: Primary?
    /// What a replica with a flaw carries over from one ballot to the next.
    struct Leftovers: Sendable {
        var known: [KeyID: Register] = [:]
        var operations: [Operation<Function>] = []
    }

    var leftovers = Leftovers()
    /// A record's term that the next ballot must be above (rule 17).
    var termToOutbid = Ballot.zero
    var rounds: [RoundID: Round] = [:]
    var resends: [(at: MonotonicInstant, id: RoundID)] = []
    var lastRound: UInt64 = 0
    var quorumOperations: [OperationID: QuorumOperation] = [:]
    var operationCount = 0
    /// Members whose pages have all come in, in the present epoch, and how far the others are.
    var pulled = MemberSet()
    var pullFrom: [KeyID?] = []

    /// Takes up a partition after a start; the driver has counted the boot and made it durable.
    package init(storage: StorageID, state: ReplicaState, clock: HybridClock, options: Options) {
        self.storage = storage
        self.state = state
        self.clock = clock
        self.options = options
    }

    package var descriptor: Descriptor { self.state.descriptor }

    package var isLeading: Bool { self.primary?.isLeading ?? false }

    package var isPreparing: Bool { self.primary.map { !$0.isLeading } ?? false }

    /// The ballot of this member as a primary, if it is one or wants to become one.
    package var ballot: Ballot? { self.primary?.ballot }

    package var isMember: Bool { self.state.descriptor.place(of: self.storage) != nil }

    var flaw: Flaw { self.options.flaw }
}
