internal import PrustCore
internal import PrustReplication

/// The end of a run, and what is thought of it.
extension ClusterSimulation {
    private static let settleTime: Int64 = 900 * Self.millisecond
    private static let attemptCount = 12

    /// Faults stop; every key must be readable at `strong` within a bound (contract C7).
    mutating func finale() {
        self.isCalm = true
        self.cuts = []
        for node in self.nodes.indices {
            self.nodes[node].pausedUntil = 0
            self.start(node)
        }
        self.runUntil(self.now + Self.settleTime)
        for key in 0..<self.plan.keyCount {
            var isRead = false
            for _ in 0..<Self.attemptCount where !isRead {
                guard let node = self.memberNode() else { break }
                let entry = self.call(key, .strong, .read, at: node)
                self.runUntil(self.now + Self.clientTimeout)
                if case .read = self.history.entries[entry].result { isRead = true }
            }
            if !isRead { self.violate("C7", "key \(key) cannot be read after the faults") }
            guard let node = self.memberNode() else { continue }
            _ = self.call(key, .quorum, .read, at: node)
            self.runUntil(self.now + Self.clientTimeout)
        }
    }

    mutating func judge() -> Report {
        var undecided = 0
        for key in 0..<self.plan.keyCount {
            let entries = self.history.entries.filter { $0.key == key }
            switch LinearizabilityChecker.check(entries) {
            case .linearizable: break
            case .notLinearizable:
                self.violate("C1", "no order explains the \(entries.count) calls on key \(key)")
            case .undecided: undecided += 1
            }
        }
        for entry in self.history.entries {
            switch entry.result {
            case .unknown: self.counters.unknown += 1
            case .notApplied: self.counters.notApplied += 1
            case .read, .written, .applied: self.counters.done += 1
            }
        }
        self.mix(self.random.next())
        return Report(
            seed: self.seed,
            violations: self.violations,
            operationCount: self.history.entries.count,
            eventCount: self.eventCount,
            undecidedCount: undecided,
            hash: self.digest,
            counters: [
                ("done", self.counters.done), ("unknown", self.counters.unknown),
                ("not applied", self.counters.notApplied), ("crashes", self.counters.crashes),
                ("takeovers", self.counters.takeovers),
                ("descriptors", self.counters.descriptors),
            ]
        )
    }
}
