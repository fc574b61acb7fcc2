internal import Synchronization

/// The context that new connections use; replaced as a whole when certificates are reloaded.
package final class TLSContextHolder: Sendable {
    private let context: Mutex<TLSContext>

    package init(_ context: TLSContext) {
        self.context = Mutex(context)
    }

    package var current: TLSContext {
        self.context.withLock { $0 }
    }

    /// New connections use `context` from now on; those that exist keep theirs.
    package func replace(with context: TLSContext) {
        // The old one is let go after the lock: it may be the last reference.
        let old = self.context.withLock { current in
            let old = current
            current = context
            return old
        }
        _ = old
    }
}
