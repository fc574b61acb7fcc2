package import NIOCore
import NIOPosix
package import PrustCore
import Synchronization

/// Checks passwords on threads of its own, a bounded number at a time, so that scrypt never runs
/// on an event loop and a flood of attempts fails fast instead of queueing up.
package final class PasswordVerifier: Sendable {
    package enum Outcome: Sendable {
        case accepted(Principal)
        /// The name or the password is wrong; which of them is not told.
        case refused
        case throttled(retryAfter: Duration)
        /// Too many passwords are waiting to be checked.
        case busy
    }

    /// Passwords that wait or are being checked.
    package static let pendingCountMax = 64
    private static let threadCount = 2

    private let pool: NIOThreadPool
    private let limiter: Mutex<AttemptLimiter>
    private let pending = Atomic<Int>(0)
    private let unknown = PasswordHash.unmatchable()

    /// - Parameter attemptsPerMinute: The setting `auth.attempts`.
    package init(attemptsPerMinute: Int) {
        self.pool = NIOThreadPool(numberOfThreads: Self.threadCount)
        self.limiter = Mutex(AttemptLimiter(attemptsPerMinute: attemptsPerMinute))
        self.pool.start()
    }

    /// Takes a changed setting `auth.attempts`.
    package func setAttempts(perMinute: Int) {
        self.limiter.withLock { $0.setAttempts(perMinute: perMinute) }
    }

    /// Ends the threads; checks that wait fail.
    package func stop() async {
        try? await self.pool.shutdownGracefully()
    }

    /// Checks one password.
    ///
    /// - Parameters:
    ///   - name: As the client gave it.
    ///   - password: As the client gave it.
    ///   - address: Of the client, without its port.
    ///   - table: Users and roles.
    ///   - now: Monotonic time.
    ///   - eventLoop: Where the future completes.
    /// - Returns: A future that never fails.
    package func verify(
        name: String,
        password: [UInt8],
        address: String,
        table: AccessTable,
        now: MonotonicInstant,
        eventLoop: any EventLoop
    ) -> EventLoopFuture<Outcome> {
        // A name that cannot exist shares one bucket, so that long names fill no table.
        let bucket = AccessDocument.isValidName(name) ? name : "?"
        let address = NetworkName.of(address)
        let decision = self.limiter.withLock {
            $0.attempt(address: address, name: bucket, now: now)
        }
        if case .refused(let retryAfter) = decision {
            return eventLoop.makeSucceededFuture(.throttled(retryAfter: retryAfter))
        }
        guard password.count <= Limits.passwordByteCountMax else {
            return eventLoop.makeSucceededFuture(.refused)
        }
        let (count, _) = self.pending.add(1, ordering: .relaxed)
        guard count < Self.pendingCountMax else {
            self.pending.subtract(1, ordering: .relaxed)
            self.limiter.withLock { $0.giveBack(address: address, name: bucket) }
            return eventLoop.makeSucceededFuture(.busy)
        }
        let hash = table.passwordHash(of: name) ?? self.unknown
        let future = self.pool.runIfActive(eventLoop: eventLoop) { () -> Outcome in
            defer { self.pending.subtract(1, ordering: .relaxed) }
            guard hash.matches(password), let principal = table.principal(name, method: .password)
            else { return .refused }
            self.limiter.withLock { $0.succeeded(address: address, name: bucket) }
            return .accepted(principal)
        }
        return future.flatMapErrorThrowing { _ in .busy }
    }
}
