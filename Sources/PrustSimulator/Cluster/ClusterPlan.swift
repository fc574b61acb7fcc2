package import PrustCore

/// What one seed does to a cluster: each is chosen anew for every seed, some are left out, so that
/// rare combinations come up (swarm testing: Groce et al., ISSTA 2012).
package struct ClusterPlan: Sendable {
    package var nodeCount = 5
    package var memberCount = 3
    package var keyCount = 4
    package var clientCount = 4
    package var operationCount = 1_000
    /// Per mille of messages.
    package var lossRate = 0
    package var duplicationRate = 0
    package var slowRate = 0
    /// Mean times between faults, in milliseconds; 0 is never.
    package var crashPause: Int64 = 0
    package var cutPause: Int64 = 0
    package var duelPause: Int64 = 0
    package var reconfigurationPause: Int64 = 0
    package var pausePause: Int64 = 0
    package var clockPause: Int64 = 0
    package var wipePause: Int64 = 0
    package var repairPause: Int64 = 50
    /// Milliseconds of a sync, at most.
    package var syncTimeMax: Int64 = 3
    /// Percent of operations.
    package var quorumShare = 20
    package var eventualShare = 10
    package var quorumReadShare = 10
    /// Percent of strong operations that go to the primary.
    package var primaryShare = 80

    package init(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        func pick(_ range: ClosedRange<Int64>) -> Int64 { random.pick(range) }
        func maybe(_ percent: Int64, _ range: ClosedRange<Int64>) -> Int64 {
            pick(1...100) <= percent ? pick(range) : 0
        }
        self.memberCount = [1, 2, 3, 3, 3, 3, 5, 5][Int(pick(0...7))]
        self.nodeCount = 7
        self.keyCount = Int(pick(5...24))
        self.clientCount = Int(pick(2...8))
        self.lossRate = Int(maybe(70, 1...100))
        self.duplicationRate = Int(maybe(50, 1...60))
        self.slowRate = Int(maybe(60, 1...150))
        self.crashPause = maybe(80, 60...900)
        self.cutPause = maybe(70, 60...900)
        self.duelPause = maybe(80, 40...1_500)
        self.reconfigurationPause = maybe(60, 60...600)
        self.pausePause = maybe(40, 100...1_500)
        self.clockPause = maybe(50, 100...1_500)
        self.wipePause = maybe(30, 500...3_000)
        self.repairPause = pick(5...200)
        self.syncTimeMax = pick(0...12)
        self.quorumShare = Int(pick(0...40))
        self.eventualShare = Int(maybe(70, 0...25))
        self.quorumReadShare = Int(pick(0...20))
        self.primaryShare = Int(pick(55...98))
    }
}

extension SeededRandom {
    /// A number of a range, each as likely as the others but for a part in 2^40.
    package mutating func pick(_ range: ClosedRange<Int64>) -> Int64 {
        let count = UInt64(range.upperBound - range.lowerBound) + 1
        return range.lowerBound + Int64(self.next() % count)
    }

    package mutating func happens(perMille: Int) -> Bool {
        perMille > 0 && self.pick(0...999) < Int64(perMille)
    }
}
