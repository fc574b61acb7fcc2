import NIOCore
import Synchronization

/// Shows that an event loop still turns: asks it for a sign and counts the answers.
final class LoopBeat: Sendable {
    private let eventLoop: any EventLoop
    private let answers = Atomic<UInt64>(0)

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    var count: UInt64 { self.answers.load(ordering: .relaxed) }

    func ask() {
        self.eventLoop.execute { self.answers.wrappingAdd(1, ordering: .relaxed) }
    }
}
