import NIOCore
import PrustCore
import PrustWire

/// What the log says of replies that wait for it.
extension RESPSession {
    /// Lets go of the replies that depend on nothing that is not durable.
    func release(durable: UInt64) {
        guard let first = self.held.first, first.dependsOn <= durable else { return }
        let failures = self.loop.services.engine.failures(after: 0)
        if !failures.isEmpty { self.replaceFailed(failures) }
        let now = Clocks.monotonic()
        while let next = self.held.first, next.dependsOn <= durable {
            self.readyEnd = next.end
            self.loop.services.metrics.record(
                next.command,
                nanoseconds: now.nanoseconds - next.startedAt.nanoseconds,
                loop: self.loop.index
            )
            self.held.removeFirst()
        }
    }

    /// Answers commands whose records were lost with an error.
    ///
    /// What ran after the log was opened again goes on waiting.
    private func replaceFailed(_ failures: [Engine.LogFailure]) {
        func failure(of held: Held) -> Engine.LogFailure? {
            failures.last { $0.after < held.own && held.own <= $0.through }
        }
        guard self.held.contains(where: { failure(of: $0) != nil }) else { return }
        var changed = CircularBuffer<Held>()
        var fresh = ByteBuffer()
        var start = self.out.readerIndex
        let ready = self.readyEnd
        if ready > start, let slice = self.out.getSlice(at: start, length: ready - start) {
            fresh.writeImmutableBuffer(slice)
            start = ready
        }
        start = max(start, ready)
        self.readyEnd = fresh.writerIndex
        for held in self.held {
            if let failure = failure(of: held), !held.isSilent {
                var outcome = held.isWrite ? failure.outcome : .notApplied
                if held.mayBePartial { outcome = .unknown }
                fresh.writeReplyError("\(outcome.rawValue) \(failure.reason)")
            } else if let slice = self.out.getSlice(at: start, length: held.end - start) {
                fresh.writeImmutableBuffer(slice)
            }
            start = held.end
            var moved = held
            moved.end = fresh.writerIndex
            changed.append(moved)
        }
        // What a suspended command has written already stays behind the replies.
        if let rest = self.out.getSlice(at: start, length: self.out.writerIndex - start) {
            fresh.writeImmutableBuffer(rest)
        }
        self.out = fresh
        self.held = changed
    }
}
