package import PrustCore

/// One storage directory in a replica group (protocol rule 1).
///
/// A wiped or restored directory has a new storage ID, so it is another member.
package struct Member: Hashable, Sendable {
    package var storage: StorageID
    package var node: NodeID
    /// Never used again in this partition, and not the place in any list.
    package var index: UInt32

    package init(storage: StorageID, node: NodeID, index: UInt32) {
        self.storage = storage
        self.node = node
        self.index = index
    }
}
