import NIOCore
import PrustDBClient
import PrustWire

/// One connection of a run: keeps its commands in flight in a ring and times their replies.
final class RunConnection: PipelineDelegate {
    private static let reconnectPause = TimeAmount.milliseconds(100)

    private struct InFlight {
        var operation: Int
        var since: NIODeadline
    }

    private let owner: RunLoop
    private let target: Target
    private let eventLoop: any EventLoop
    private var handler: PipelineHandler<RunConnection>?
    private var ring: [InFlight]
    private var head = 0
    private var count = 0
    private var buffer = ByteBuffer()
    /// Time of the replies that are being read: one reading of the clock for all of them.
    private var now: NIODeadline?
    private var isClosing = false

    init(owner: RunLoop, target: Target, eventLoop: any EventLoop) {
        self.owner = owner
        self.target = target
        self.eventLoop = eventLoop
        self.ring = Array(
            repeating: InFlight(operation: 0, since: .now()),
            count: owner.depth
        )
    }

    var isIdle: Bool { self.count == 0 }

    func connect() -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        return PipelineHandler.connect(to: self.target, on: self.eventLoop, delegate: self)
            .map { handler in bound.value.handler = handler.value }
    }

    func close() {
        self.isClosing = true
        self.handler?.close()
    }

    /// Fills the pipeline, in one write.
    func fill() {
        guard self.handler != nil else { return }
        let now = NIODeadline.now()
        while self.count < self.ring.count, self.append(since: now) {}
        self.flush()
    }

    /// Takes one operation that is due, if there is room; `flush` sends it.
    func add(dueAt: NIODeadline) -> Bool {
        guard self.handler != nil, self.count < self.ring.count else { return false }
        return self.append(since: dueAt)
    }

    func flush() {
        guard self.buffer.readableBytes > 0 else { return }
        self.handler?.write(self.buffer)
        self.buffer.clear()
    }

    private func append(since: NIODeadline) -> Bool {
        guard let operation = self.owner.writeCommand(into: &self.buffer) else { return false }
        self.ring[(self.head + self.count) % self.ring.count] = InFlight(
            operation: operation,
            since: since
        )
        self.count += 1
        return true
    }

    func received(_ reply: RESPValue) {
        guard self.count > 0 else {
            self.owner.failed("reply-to-nothing")
            self.handler?.close()
            return
        }
        let now = self.now ?? .now()
        self.now = now
        let ended = self.ring[self.head]
        self.head = (self.head + 1) % self.ring.count
        self.count -= 1
        switch reply {
        case .error(let text):
            self.owner.failed(Self.kind(of: text))
        case .null, .integer(0):
            let nanoseconds = (now - ended.since).nanoseconds
            self.owner.ended(ended.operation, nanoseconds: nanoseconds, isMiss: true)
        default:
            let nanoseconds = (now - ended.since).nanoseconds
            self.owner.ended(ended.operation, nanoseconds: nanoseconds, isMiss: false)
        }
    }

    func receivedAll() {
        if let now = self.now { self.owner.replied(at: now) }
        self.now = nil
        self.owner.hasRoom(self)
    }

    func closed(_ reason: String) {
        self.handler = nil
        guard !self.isClosing else { return }
        self.owner.failed("connection-lost")
        self.owner.failed("lost-in-flight", count: self.count)
        self.count = 0
        self.buffer.clear()
        self.reconnectLater()
        self.owner.hasRoom(self)
    }

    private func reconnectLater() {
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.eventLoop.scheduleTask(in: Self.reconnectPause) {
            guard !bound.value.isClosing else { return }
            bound.value.connect().assumeIsolated().whenComplete { bound.value.reconnected($0) }
        }
    }

    private func reconnected(_ result: Result<Void, any Error>) {
        guard !self.isClosing else { return self.close() }
        switch result {
        case .success:
            self.owner.reconnected()
            self.owner.hasRoom(self)
        case .failure:
            self.owner.failed("connect-failed")
            self.reconnectLater()
        }
    }

    /// The first word of an error line, which is its code.
    private static func kind(of text: ByteBuffer) -> String {
        let word = text.readableBytesView.prefix(32).prefix { $0 > 0x20 && $0 < 0x7F }
        return word.isEmpty ? "error" : String(decoding: word, as: UTF8.self)
    }
}
