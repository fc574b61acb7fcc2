import NIOCore
import NIOPosix
import PrustCore
import PrustWire

/// Commands that wait for a disk thread or for a password.
extension RESPSession {
    /// Gives what the present command waits for to a disk thread.
    func suspend(_ executor: CommandExecutor) {
        self.phase = .suspended
        let missing = executor.missing
        let deferred = executor.deferred
        executor.missing.removeAll(keepingCapacity: true)
        executor.deferred = nil
        if let deferred { return self.run(deferred) }
        if missing.isEmpty { return }
        let engine = self.loop.services.engine
        self.onDiskThread {
            engine.load(missing)
        } then: { session, failure in
            if let failure {
                session.finishSuspended { executor in
                    // Other keys of the same command may be done already.
                    let code = executor.didWrite ? "UNKNOWN" : "ERR"
                    return executor.fail("\(code) the record cannot be read: \(failure)")
                }
            } else {
                session.wake()
            }
        }
    }

    private func run(_ deferred: CommandExecutor.Deferred) {
        let engine = self.loop.services.engine
        switch deferred {
        case .scan(let request):
            self.onDiskThread {
                Result { () throws(Engine.ScanError) in try engine.scan(request) }
            } then: { session, result in
                session.finishScan(result)
            }
        case .clientList:
            let bound = NIOLoopBound(self, eventLoop: self.loop.eventLoop)
            self.loop.services.describeClients(on: self.loop.eventLoop).whenSuccess { lines in
                let session = bound.value
                guard case .suspended = session.phase else { return }
                session.finishSuspended { executor in
                    let text = lines.map { $0 + "\n" }.joined()
                    executor.out.writeReplyVerbatim(text, version: executor.version)
                    return .done
                }
            }
        case .databaseSize:
            self.onDiskThread {
                Result { () throws(Engine.ScanError) in try engine.countKeys() }
            } then: { session, result in
                session.finishSuspended { executor in
                    switch result {
                    case .success(let count): executor.integer(Int64(count))
                    case .failure(let error): executor.fail("ERR " + error.description)
                    }
                }
            }
        }
    }

    private func onDiskThread<Value: Sendable>(
        _ work: @escaping @Sendable () -> Value,
        then body: @escaping @Sendable (RESPSession, Value) -> Void
    ) {
        let bound = NIOLoopBound(self, eventLoop: self.loop.eventLoop)
        let eventLoop = self.loop.eventLoop
        self.loop.services.diskThreads.submit { state in
            guard case .active = state else { return }
            let value = work()
            eventLoop.execute {
                let session = bound.value
                guard case .suspended = session.phase else { return }
                body(session, value)
            }
        }
    }

    private func finishScan(_ result: Result<ScanResult, Engine.ScanError>) {
        let principal = self.principal
        self.finishSuspended { executor in
            switch result {
            case .failure(let error):
                return executor.fail("ERR " + error.description)
            case .success(var scan):
                if let principal, !principal.allows(.read) {
                    scan.keys.removeAll { key in
                        !key.withUnsafeBytes { principal.allows(.read, key: $0) }
                    }
                }
                executor.dependsOn = max(executor.dependsOn, scan.newestSequence)
                executor.out.writeReplyArray(count: 2)
                executor.out.writeReplyBulk(String(scan.cursor))
                executor.out.writeReplyArray(count: scan.keys.count)
                for key in scan.keys {
                    key.withUnsafeBytes { executor.out.writeReplyBulk($0) }
                }
                return .done
            }
        }
    }

    /// Runs the suspended command again: what it needs is in memory now.
    func wake() {
        self.phase = .running
        self.goOn()
        self.drainIfAsked()
    }

    /// Ends the suspended command with the reply that `body` writes.
    func finishSuspended(_ body: (CommandExecutor) -> CommandExecutor.Disposition) {
        self.phase = .running
        let executor = self.loop.executor
        // Read before the failures: what is lost after this is found when the log has moved.
        let durable = self.loop.services.engine.durable
        swap(&executor.out, &self.out)
        executor.version = self.version
        executor.resume(self.suspension)
        _ = body(executor)
        _ = self.failIfLost(executor)
        self.finish(executor, durable: durable)
        self.recordTally()
        self.consumeCommand()
        swap(&executor.out, &self.out)
        self.goOn()
        self.drainIfAsked()
    }

    private func drainIfAsked() {
        if self.isDraining, case .running = self.phase { self.close() }
    }
}
