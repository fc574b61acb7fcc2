internal import PrustCore
internal import PrustReplication

/// One node of a simulated cluster: a replica, its disk, and what waits for the disk.
struct SimulatedNode {
    typealias SimulatedReplica = Replica<SimulatedFunction>

    let id: NodeID
    var storage: StorageID
    var store = SimulatedReplicaStore()
    /// `nil` while the node is down.
    var replica: SimulatedReplica?
    var boot: UInt32 = 0
    /// Effects that reveal what is not durable yet, in their order.
    var held: [(mark: UInt64, effect: ReplicaEffect<SimulatedFunction>)] = []
    var isSyncing = false
    var tickAt: Int64?
    var pausedUntil: Int64 = 0
    /// Milliseconds that the wall clock is off.
    var skew: Int64 = 0
    /// Operations under way here, by the number of their history entry.
    var operations: Set<Int> = []

    var isUp: Bool { self.replica != nil }
}
