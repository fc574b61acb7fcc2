/// A node's place in the key space: 256 bits from the operating system's CSPRNG, made once and
/// written into the node's certificate by the cluster's CA.
package struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var identifier: Identifier256

    package init(_ identifier: Identifier256) {
        self.identifier = identifier
    }

    package static func < (left: Self, right: Self) -> Bool {
        left.identifier < right.identifier
    }

    package var description: String { self.identifier.description }
}

/// The identity of one storage directory: a wiped or restored disk gets a new one, so it is a new
/// member of its replica groups and never an acceptor that forgot.
package struct StorageID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var identifier: Identifier256

    package init(_ identifier: Identifier256) {
        self.identifier = identifier
    }

    package static func < (left: Self, right: Self) -> Bool {
        left.identifier < right.identifier
    }

    package var description: String { self.identifier.description }
}
