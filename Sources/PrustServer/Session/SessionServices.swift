import Logging
import NIOCore
package import NIOPosix
package import PrustCore
import Synchronization

/// What every session needs, whichever loop it is on.
package final class SessionServices: Sendable {
    package struct Bounds: Sendable {
        package var outputByteCountMax = 64 * 1024 * 1024
        package var pipelineCountMax = 10_000
        package var argumentCountMax = PrustCore.Limits.argumentCountMax
        package var idleTimeout = Duration.zero
        package var loginTimeout = Duration.seconds(30)
        package var stallTimeout = Duration.seconds(60)
        /// Bytes of replies that may wait in all channels together.
        package var outputTotalByteCountMax = 1024 * 1024 * 1024

        package init() {}
    }

    package let engine: Engine
    package let limits: Bounds
    package let access: AccessSnapshot
    package let verifier: PasswordVerifier
    package let audit: any AuditSink
    package let metrics: ServerMetrics
    package let diskThreads: NIOThreadPool
    package let nodeDescription: NodeDescription
    private let loops = Mutex<[NIOLoopBound<LoopState>]>([])
    private let lastConnectionID = Atomic<Int64>(0)

    /// What clients may know of the node.
    package struct NodeDescription: Sendable {
        package var nodeID: String
        package var port: Int
        package var startedAt: MonotonicInstant

        package init(nodeID: String, port: Int, startedAt: MonotonicInstant) {
            self.nodeID = nodeID
            self.port = port
            self.startedAt = startedAt
        }
    }

    /// Event loops that have sessions.
    var loopCount: Int { max(1, self.loops.withLock { $0.count }) }

    package init(
        engine: Engine,
        limits: Bounds,
        access: AccessSnapshot,
        verifier: PasswordVerifier,
        audit: any AuditSink,
        metrics: ServerMetrics,
        diskThreads: NIOThreadPool,
        nodeDescription: NodeDescription
    ) {
        self.engine = engine
        self.limits = limits
        self.access = access
        self.verifier = verifier
        self.audit = audit
        self.metrics = metrics
        self.diskThreads = diskThreads
        self.nodeDescription = nodeDescription
    }

    /// Makes a loop known, so that its clients can be listed.
    func add(_ loop: NIOLoopBound<LoopState>) {
        self.loops.withLock { $0.append(loop) }
    }

    /// A line for each client of all loops; the future completes on `eventLoop`, later than now.
    func describeClients(on eventLoop: any EventLoop) -> EventLoopFuture<[String]> {
        let parts = self.loops.withLock { $0 }.map { loop in
            loop.eventLoop.submit { loop.value.descriptions }
        }
        return EventLoopFuture.whenAllSucceed(parts, on: eventLoop).flatMap { parts in
            eventLoop.submit { parts.flatMap { $0 } }
        }
    }

    func nextConnectionID() -> Int64 {
        self.lastConnectionID.wrappingAdd(1, ordering: .relaxed).newValue
    }
}
