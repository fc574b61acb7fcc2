import PrustCore
import PrustStorage
import PrustTLS
import Testing

@testable import PrustServer

@Suite struct EngineScanTests {
    static func request(cursor: UInt64, count: Int, pattern: String? = nil) -> ScanRequest {
        ScanRequest(
            cursor: cursor,
            count: count,
            pattern: pattern.map { Array($0.utf8) },
            matchesType: true,
            wall: WallTime(milliseconds: 1)
        )
    }

    /// Walks over all keys; returns those of each step.
    static func walk(
        _ fixture: EngineFixture,
        count: Int,
        pattern: String? = nil,
        budget: ScanBudget = ScanBudget()
    ) throws -> [[String]] {
        var steps: [[String]] = []
        var cursor: UInt64 = 0
        repeat {
            let request = Self.request(cursor: cursor, count: count, pattern: pattern)
            let result = try fixture.engine.scan(request, budget: budget)
            steps.append(result.keys.map { String(decoding: $0, as: UTF8.self) })
            #expect(result.cursor == 0 || result.cursor > cursor, "a step gets on")
            cursor = result.cursor
        } while cursor != 0 && steps.count < 10_000
        return steps
    }

    /// Sixty keys: some in the index, some in memory, some in both, among others that were deleted.
    static func filled() throws -> (fixture: EngineFixture, keys: [String]) {
        let fixture = try EngineFixture()
        fixture.startLog()
        for number in 0..<50 { _ = fixture.run("set", "k\(number)", "1") }
        fixture.waitForLog()
        fixture.waitUntilPlaced()
        fixture.engine.sweep()
        for number in 30..<70 { _ = fixture.run("set", "k\(number)", "2") }
        for number in 20..<30 { _ = fixture.run("del", "k\(number)") }
        fixture.waitForLog()
        return (fixture, (0..<70).filter { !(20..<30).contains($0) }.map { "k\($0)" })
    }

    static func inOrder(_ keys: [String]) -> [String] {
        func keyID(_ key: String) -> KeyID {
            Array(key.utf8).withUnsafeBytes { Crypto.keyID(of: $0) }
        }
        return keys.sorted { keyID($0) < keyID($1) }
    }

    /// Every key comes once, in the order of the IDs, and no step is longer than asked for.
    @Test(arguments: [1, 2, 7, 64, 1_000])
    func allKeysComeOnceAndInOrder(count: Int) throws {
        let (fixture, keys) = try Self.filled()
        let steps = try Self.walk(fixture, count: count)
        #expect(Array(steps.joined()) == Self.inOrder(keys))
        #expect(steps.allSatisfy { $0.count <= count })
        fixture.stop()
    }

    @Test func fewRowsAtATimeAreEnough() throws {
        let (fixture, keys) = try Self.filled()
        var budget = ScanBudget()
        budget.rowCountMax = 3
        let steps = try Self.walk(fixture, count: 1_000, budget: budget)
        #expect(Array(steps.joined()) == Self.inOrder(keys))
        fixture.stop()
    }

    /// A pattern that takes long gets a cursor instead of a disk thread for minutes.
    @Test func aStepEndsWhenItsTimeIsUp() throws {
        let (fixture, keys) = try Self.filled()
        var nanoseconds: Int64 = 0
        var budget = ScanBudget()
        budget.now = {
            nanoseconds += 15_000_000
            return MonotonicInstant(nanoseconds: nanoseconds)
        }
        let steps = try Self.walk(fixture, count: 1_000, budget: budget)
        #expect(steps.allSatisfy { $0.count <= 2 })
        #expect(Array(steps.joined()) == Self.inOrder(keys))
        // Also when no key matches, so that nothing comes back.
        let pattern = String(repeating: "*a", count: 100) + "b"
        let vain = try Self.walk(fixture, count: 1_000, pattern: pattern, budget: budget)
        #expect(vain.joined().isEmpty && vain.count >= 30)
        fixture.stop()
    }

    /// One key always is visited, however little is left.
    @Test func aStepEndsWhenItsBytesAreUsedUp() throws {
        let (fixture, keys) = try Self.filled()
        var budget = ScanBudget()
        budget.keyByteCountMax = 1
        let single = try Self.walk(fixture, count: 1_000, budget: budget)
        #expect(single.allSatisfy { $0.count <= 1 })
        #expect(Array(single.joined()) == Self.inOrder(keys))
        budget = ScanBudget()
        budget.readByteCountMax = 1
        let read = try Self.walk(fixture, count: 1_000, budget: budget)
        // Twenty keys are in the index alone, and each of them ends a step.
        #expect(read.count >= 20)
        #expect(Array(read.joined()) == Self.inOrder(keys))
        fixture.stop()
    }

    /// The cursor cannot tell keys apart that share the upper 64 bits of their IDs.
    @Test func keysThatShareACursorAreVisitedTogether() {
        func keyID(_ word0: UInt64, _ word3: UInt64) -> KeyID {
            KeyID(Identifier256(word0: word0, word1: 0, word2: 0, word3: word3))
        }
        var walk = ScanWalk(Self.request(cursor: 0, count: 1), ScanBudget())
        #expect(walk.mayVisit(keyID(5, 1)))
        let isWanted = walk.visit(keyID(5, 1), expiresAt: 0, isTombstone: false)
        #expect(isWanted)
        #expect(walk.isUsedUp)
        #expect(walk.mayVisit(keyID(5, 2)))
        #expect(!walk.mayVisit(keyID(6, 0)))
    }

    /// What is there all the time is seen, whatever writes and sweeps do between the steps.
    @Test func keysThatStayAreSeen() throws {
        var random = SeededRandom(seed: 3)
        let fixture = try EngineFixture()
        fixture.startLog()
        for number in 0..<120 { _ = fixture.run("set", "stays\(number)", "1") }
        for round in 0..<4 {
            var seen: Set<String> = []
            var cursor: UInt64 = 0
            repeat {
                let request = Self.request(cursor: cursor, count: 5)
                let result = try fixture.engine.scan(request)
                seen.formUnion(result.keys.map { String(decoding: $0, as: UTF8.self) })
                cursor = result.cursor
                let number = Int.random(in: 0..<120, using: &random)
                _ = fixture.run("set", "stays\(number)", "\(round)")
                _ = fixture.run("set", "other\(number)", "1")
                _ = fixture.run("del", "other\(Int.random(in: 0..<120, using: &random))")
                if number % 8 == 0 {
                    fixture.waitForLog()
                    fixture.engine.sweep()
                }
            } while cursor != 0
            #expect(seen.isSuperset(of: (0..<120).map { "stays\($0)" }))
        }
        fixture.stop()
    }
}
