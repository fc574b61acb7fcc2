import Glibc
import PrustCore
import PrustSimulator
import PrustStorage
import Testing

/// Fails each call in turn until the workload gets through without meeting the fault; after each,
/// what was acknowledged must be there.
@Suite struct FaultLoopTests {
    typealias Call = SimulatedFileSystem.Call
    typealias Fault = SimulatedFileSystem.Fault

    struct Plan: Sendable, CustomTestStringConvertible {
        var name: String
        var call: Call?
        var effect: Fault.Effect
        var isLasting = false
        var isReverting = false
        var testDescription: String { self.name }
    }

    static let plans: [Plan] = [
        Plan(name: "write EIO", call: .write, effect: .fails(EIO)),
        Plan(name: "half a write, EIO", call: .write, effect: .writesHalf(EIO)),
        Plan(name: "half a write, full", call: .write, effect: .writesHalf(ENOSPC)),
        Plan(name: "write full", call: .write, effect: .fails(ENOSPC)),
        Plan(name: "full from then on", call: .write, effect: .writesHalf(ENOSPC), isLasting: true),
        Plan(name: "fdatasync EIO", call: .syncData, effect: .fails(EIO)),
        Plan(name: "fsync EIO", call: .sync, effect: .fails(EIO)),
        Plan(
            name: "fdatasync EIO from then on",
            call: .syncData,
            effect: .fails(EIO),
            isLasting: true
        ),
        Plan(name: "rename EIO", call: .rename, effect: .fails(EIO)),
        Plan(name: "rename full", call: .rename, effect: .fails(ENOSPC)),
        Plan(name: "directory sync EIO", call: .syncDirectory, effect: .fails(EIO)),
        Plan(name: "directory sync full", call: .syncDirectory, effect: .fails(ENOSPC)),
        Plan(name: "open EIO", call: .open, effect: .fails(EIO)),
        Plan(name: "open EMFILE", call: .open, effect: .fails(EMFILE)),
        Plan(name: "truncate EIO", call: .truncate, effect: .fails(EIO)),
        Plan(name: "unlink EIO", call: .unlink, effect: .fails(EIO)),
        Plan(name: "read EIO", call: .read, effect: .fails(EIO)),
        Plan(name: "size EIO", call: .size, effect: .fails(EIO)),
        Plan(name: "list EIO", call: .list, effect: .fails(EIO)),
        Plan(name: "mkdir EIO", call: .makeDirectory, effect: .fails(EIO)),
        Plan(name: "lock EIO", call: .lock, effect: .fails(EIO)),
        Plan(name: "crash at any change", call: nil, effect: .crashes),
        Plan(name: "truncate full", call: .truncate, effect: .fails(ENOSPC)),
        Plan(
            name: "fdatasync EIO, old contents",
            call: .syncData,
            effect: .fails(EIO),
            isReverting: true
        ),
        Plan(name: "fsync EIO, old contents", call: .sync, effect: .fails(EIO), isReverting: true),
        Plan(
            name: "fdatasync EIO from then on, old contents",
            call: .syncData,
            effect: .fails(EIO),
            isLasting: true,
            isReverting: true
        ),
    ]

    /// Runs the loop.
    ///
    /// - Returns: What was wrong, and how many calls were made to fail.
    static func loop(
        _ plan: Plan,
        seed: UInt64,
        bug: SynchronousStore.Bug = .none
    ) -> (findings: [String], count: Int) {
        var findings: [String] = []
        var index = 0
        while true {
            let fileSystem = SimulatedFileSystem()
            let fault = Fault(
                plan.call,
                index: index,
                plan.effect,
                isLasting: plan.isLasting,
                isReverting: plan.isReverting
            )
            fileSystem.plant(fault)
            let (model, error) = Workload(seed: seed, bug: bug).run(fileSystem)
            let hasStruck = fileSystem.hasStruck
            var random = SeededRandom(seed: seed ^ UInt64(index) << 32)
            let killed = fileSystem.copy()
            fileSystem.crash(random: &random)
            for (name, disk) in [("crash", fileSystem), ("kill", killed)] {
                let found = Workload.check(disk, model, &random)
                findings += found.map {
                    "\(plan.name), call \(index), \(name): \($0) (\(error as Any))"
                }
            }
            guard hasStruck, findings.count < 20 else { break }
            index += 1
        }
        return (findings, index)
    }

    @Test(arguments: plans)
    func acknowledgedWritesSurvive(plan: Plan) {
        let (findings, count) = Self.loop(plan, seed: 11)
        #expect(findings == [])
        // Every kind of call is made at least once, so that the loop has tested something.
        #expect(count > 0)
    }

    /// How many seeds the random tests try; more in a long run.
    static let roundCount =
        getenv("PRUSTDB_TEST_ROUNDS").flatMap { UInt64(String(cString: $0)) } ?? 20

    @Test func randomCrashes() {
        for seed in 100..<100 + Self.roundCount {
            var random = SeededRandom(seed: seed)
            let fileSystem = SimulatedFileSystem()
            fileSystem.plant(Fault(nil, index: Int(random.next() % 150), .crashes))
            let (model, _) = Workload(seed: seed, stepCount: 44).run(fileSystem)
            fileSystem.crash(random: &random)
            #expect(Workload.check(fileSystem, model, &random) == [], "seed \(seed)")
        }
    }

    /// Recovery is interrupted, again and again, at any call.
    @Test func crashesDuringRecovery() {
        for seed in 1000..<1000 + Self.roundCount {
            var random = SeededRandom(seed: seed)
            let fileSystem = SimulatedFileSystem()
            fileSystem.plant(Fault(nil, index: 40 + Int(random.next() % 80), .crashes))
            let (model, _) = Workload(seed: seed).run(fileSystem)
            for _ in 0..<3 {
                if random.next() % 2 == 0 {
                    fileSystem.crash(random: &random)
                } else {
                    fileSystem.kill()
                }
                fileSystem.plant(Fault(nil, index: Int(random.next() % 40), .crashes))
                _ = try? Fixture.store(fileSystem)
            }
            fileSystem.crash(random: &random)
            #expect(Workload.check(fileSystem, model, &random) == [], "seed \(seed)")
        }
    }

    /// Recovery meets an error of the disk: it fails, and the next one does not.
    @Test func faultsDuringRecovery() {
        let calls: [Call] = [.open, .write, .syncData, .sync, .truncate, .rename, .syncDirectory]
        for seed in 2000..<2000 + Self.roundCount {
            var random = SeededRandom(seed: seed)
            let fileSystem = SimulatedFileSystem()
            fileSystem.plant(Fault(nil, index: 40 + Int(random.next() % 80), .crashes))
            let (model, _) = Workload(seed: seed).run(fileSystem)
            fileSystem.crash(random: &random)
            for _ in 0..<3 {
                let call = calls[Int(random.next() % UInt64(calls.count))]
                let code = random.next() % 3 == 0 ? ENOSPC : EIO
                fileSystem.plant(
                    Fault(
                        call,
                        index: Int(random.next() % 6),
                        .writesHalf(code),
                        isReverting: random.next() % 2 == 0
                    )
                )
                _ = try? Fixture.store(fileSystem)
                fileSystem.kill()
            }
            fileSystem.crash(random: &random)
            #expect(Workload.check(fileSystem, model, &random) == [], "seed \(seed)")
        }
    }

    /// The checker must be able to fail: it finds mistakes that were made on purpose.
    @Test(arguments: [
        (SynchronousStore.Bug.acknowledgesBeforeCommit, 21),
        (.ignoresFailedCommit, 5),
        (.positionBeforeEntries, 21),
    ])
    func plantedBugsAreFound(bug: SynchronousStore.Bug, plan: Int) {
        #expect(!Self.loop(Self.plans[plan], seed: 11, bug: bug).findings.isEmpty)
    }
}
