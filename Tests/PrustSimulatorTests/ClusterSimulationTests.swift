import PrustCore
import PrustReplication
import Testing

@testable import PrustSimulator

@Suite struct ClusterSimulationTests {
    static func plan(_ seed: UInt64) -> ClusterPlan {
        var plan = ClusterPlan(seed: seed)
        plan.operationCount = 300
        return plan
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6])
    func noRuleIsBroken(seed: UInt64) {
        var simulation = ClusterSimulation(seed: seed, plan: Self.plan(seed))
        let report = simulation.run()
        #expect(report.violations == [], "seed \(seed)")
        #expect(report.operationCount >= 300)
    }

    @Test func aSeedIsTheSameTwice() {
        var first = ClusterSimulation(seed: 7, plan: Self.plan(7))
        var second = ClusterSimulation(seed: 7, plan: Self.plan(7))
        var lines: [String] = []
        first.trace = { lines.append($0) }
        var place = 0
        var isEqual = true
        second.trace = { line in
            isEqual = isEqual && place < lines.count && lines[place] == line
            place += 1
        }
        let reports = (first.run(), second.run())
        #expect(reports.0.hash == reports.1.hash)
        #expect(isEqual && place == lines.count && place > 500)
    }

    /// Checkers that find nothing prove nothing: broken rules are found, each by its first seeds.
    @Test(arguments: [
        Flaw.freshTimeForRMW, .noConfirm, .failingCompareWithoutConfirm, .keepsKnownAcrossBallots,
        .retriesAfterLosingBallot, .acceptedDescriptorTakenForLearned, .quorumReadFromOneMember,
        .noWriteBackOnMixedAnswers,
    ])
    func aBrokenRuleIsFound(flaw: Flaw) {
        let isFound = (UInt64(1)...6).contains { seed in
            var simulation = ClusterSimulation(seed: seed, flaw: flaw)
            return !simulation.run().violations.isEmpty
        }
        #expect(isFound, "\(flaw)")
    }

    @Test func eventsComeInTheOrderOfTimeAndArrival() {
        var queue = EventQueue<Int>()
        for (time, event) in [(3, 1), (1, 2), (2, 3), (1, 4), (3, 5), (0, 6)] {
            queue.add(event, at: Int64(time))
        }
        var order: [Int] = []
        while let event = queue.take() { order.append(event) }
        #expect(order == [6, 2, 4, 3, 1, 5])
        #expect(queue.nextTime == nil)
    }
}
