package import PrustCore

extension Replica {
    /// What a replica is given to work with: the time, its records, and a list for its wishes.
    package struct Turn<Store: ReplicaStore> {
        package let now: MonotonicInstant
        package let wall: WallTime
        package var store: Store
        /// To be carried out in order.
        package var effects: Effects = []

        package init(now: MonotonicInstant, wall: WallTime, store: Store) {
            self.now = now
            self.wall = wall
            self.store = store
        }
    }
}
