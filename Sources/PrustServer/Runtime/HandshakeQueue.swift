package import NIOCore
import Synchronization

/// The connections whose TLS handshake is under way: at most so many at a time.
///
/// When one more comes, the oldest is closed. A handshake takes a client milliseconds, so whoever
/// opens connections and says nothing pushes out its own, and keeps nobody else out.
package final class HandshakeQueue: Sendable {
    /// Stands for one connection.
    package struct Ticket: Hashable, Sendable {
        let number: UInt64
    }

    private struct State {
        var channels: [UInt64: any Channel] = [:]
        /// The number of the next connection, and one that no older connection has.
        var next: UInt64 = 0
        var oldest: UInt64 = 0

        mutating func removeOldest() -> (any Channel)? {
            while self.oldest < self.next {
                defer { self.oldest += 1 }
                if let channel = self.channels.removeValue(forKey: self.oldest) { return channel }
            }
            return nil
        }
    }

    private let countMax: Int
    private let state = Mutex(State())

    /// - Parameter countMax: Handshakes at one time, at least 1.
    package init(countMax: Int) {
        self.countMax = max(countMax, 1)
    }

    /// Adds a connection; answers the oldest one if it must be closed to make room.
    package func add(_ channel: any Channel) -> (ticket: Ticket, displaced: (any Channel)?) {
        self.state.withLock { state in
            let displaced =
                state.channels.count >= self.countMax ? state.removeOldest() : nil
            let ticket = Ticket(number: state.next)
            state.channels[state.next] = channel
            state.next += 1
            return (ticket, displaced)
        }
    }

    /// The handshake is over, one way or the other; what was removed before may be removed again.
    package func remove(_ ticket: Ticket) {
        self.state.withLock { state in
            state.channels[ticket.number] = nil
            if state.channels.isEmpty { state.oldest = state.next }
        }
    }

    package var count: Int { self.state.withLock { $0.channels.count } }
}
