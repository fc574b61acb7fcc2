import PrustCore
import Synchronization

/// What sessions hold: they look at ``generation`` before a command and take the table again
/// when it moved.
package final class AccessSnapshot: Sendable {
    private let counter: Atomic<Int>
    private let current: Mutex<AccessTable>

    package init(_ table: AccessTable) {
        self.counter = Atomic(1)
        self.current = Mutex(table)
    }

    /// Grows with every change; cheap enough to be read for every command.
    package var generation: Int { self.counter.load(ordering: .acquiring) }

    package var table: AccessTable { self.current.withLock { $0 } }

    func publish(_ table: AccessTable) {
        self.current.withLock { $0 = table }
        self.counter.add(1, ordering: .releasing)
    }
}

/// The users and roles of a node: changes go to the disk first, then to all sessions.
package actor AccessStore {
    package nonisolated let snapshot: AccessSnapshot
    private let file: AccessFile
    private var document: AccessDocument

    /// Reads the file.
    package init(file: AccessFile) throws(AccessError) {
        let document = try file.load()
        self.file = file
        self.document = document
        self.snapshot = AccessSnapshot(AccessTable(document))
    }

    package nonisolated var users: [AccessDocument.User] { self.snapshot.table.document.users }

    /// All roles, the built-in ones first.
    package nonisolated var roles: [AccessDocument.Role] {
        AccessDocument.Role.builtIn + self.snapshot.table.document.roles
    }

    /// Makes one change of the document; it is on disk and in force when this returns.
    ///
    /// - Parameter body: One of the changes that ``AccessDocument`` offers.
    /// - Returns: What the change gave.
    /// - Throws: Why it was refused; then nothing has changed.
    package func change<Result: Sendable>(
        _ body: @Sendable (inout AccessDocument) throws(AccessError) -> Result
    ) throws(AccessError) -> Result {
        var copy = self.document
        let result = try body(&copy)
        try self.file.save(copy)
        self.document = copy
        self.snapshot.publish(AccessTable(copy))
        return result
    }

    /// Reads the file again, after somebody has changed it by other means.
    package func reload() throws(AccessError) {
        let document = try self.file.load()
        guard document != self.document else { return }
        self.document = document
        self.snapshot.publish(AccessTable(document))
    }
}
