package import PrustCore

/// What a member keeps of a partition besides its records, durably (protocol rule 3).
package struct ReplicaState: Hashable, Sendable {
    /// Chosen.
    package var descriptor: Descriptor
    /// Accepted by this member in the epoch of `descriptor`, and not known to be chosen.
    package var accepted: AcceptedDescriptor?
    package var promised: Ballot
    /// Counts the starts of this member.
    package var boot: UInt32
    /// The joint epoch in which this member has pulled all records from a majority of M.
    package var reconciledEpoch: UInt32

    package init(
        descriptor: Descriptor,
        accepted: AcceptedDescriptor? = nil,
        promised: Ballot = .zero,
        boot: UInt32 = 0,
        reconciledEpoch: UInt32 = 0
    ) {
        self.descriptor = descriptor
        self.accepted = accepted
        self.promised = promised
        self.boot = boot
        self.reconciledEpoch = reconciledEpoch
    }

    /// The lowest term of a write at `quorum`, `all` or `eventual` (rules 23 and 24).
    var floor: Ballot {
        max(self.promised, Ballot(epoch: self.descriptor.epoch, round: 0, index: 0))
    }
}

/// Where a replica keeps its records and its state; changes are seen at once, durable later.
///
/// Every change has a number, its mark, and becomes durable in the order of the marks. A message
/// that reveals a change names its mark and leaves only when that is durable (rule 3).
package protocol ReplicaStore {
    /// What is held of a key, durable or not.
    func register(of key: KeyID) -> Register
    /// The mark of the newest change of a key, 0 if there is none that is not durable.
    func mark(of key: KeyID) -> UInt64
    /// The mark of the newest change of the state, 0 if that is durable.
    var stateMark: UInt64 { get }
    /// The mark of the newest change of all.
    var mark: UInt64 { get }
    mutating func put(_ key: KeyID, _ register: Register)
    mutating func save(_ state: ReplicaState)
    /// Records from a key on, in the order of their key IDs.
    func page(from key: KeyID, countMax: Int) -> (records: [KeyRegister], next: KeyID?)
}

/// What a replica wants done; to be carried out in order.
package enum ReplicaEffect<Function: RegisterFunction>: Hashable, Sendable {
    /// To be sent once the change with this mark is durable; 0 is at once.
    case send(to: StorageID, Message, after: UInt64)
    /// The client may learn this once the change with this mark is durable.
    case finish(OperationID, Outcome<Function>, after: UInt64)
    /// Another descriptor holds now.
    case learned(Descriptor)
    /// A change of the descriptor that was asked for was not made.
    case notReconfigured(epoch: UInt32)
}
