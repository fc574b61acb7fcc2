import PrustCore
import PrustSimulator
import PrustStorage
import Synchronization
import Testing

@testable import PrustServer

@Suite struct EngineSweepTests {
    /// A record that waits for the log hides an acknowledged one from the sweep: the index's
    /// position must not go beyond that, or a crash would take it back.
    @Test func aSweepDoesNotLoseWhatANewerRecordHides() throws {
        let disk = SimulatedFileSystem()
        let first = try EngineFixture(disk)
        first.startLog()
        _ = first.run("set", "a", "acknowledged")
        _ = first.run("set", "b", "other")
        first.waitForLog()
        first.waitUntilPlaced()
        first.stopLog()
        _ = first.run("set", "a", "waiting")
        first.engine.sweep()
        let copy = disk.copy()
        copy.kill()
        let second = try EngineFixture(copy)
        second.startLog()
        #expect(second.run("get", "a") == "$12\r\nacknowledged\r\n")
        #expect(second.run("get", "b") == "$5\r\nother\r\n")
        second.stop()
        first.engine.close()
    }

    /// Few keys that are written over and over make a long log out of little memory.
    @Test func aLongTailIsSwept() throws {
        let fixture = try EngineFixture { $0.tailByteCountMax = 64 * 1024 }
        let engine = fixture.engine
        fixture.startLog()
        let maintenance = SystemThread(name: "sweep") { engine.runMaintenance() }
        let start = try #require(engine.storage).index.position
        for step in 0..<2_000 { _ = fixture.run("set", "hot", "\(step)") }
        fixture.waitForLog()
        fixture.wait { (engine.storage?.index.position ?? start) > start }
        fixture.wait { engine.shared.withLock { $0.tailByteCount } < 64 * 1024 }
        engine.stop()
        maintenance?.join()
        fixture.stop()
    }

    /// After a crash the tail that is still there counts.
    @Test func aTailThatWasReplayedCounts() throws {
        let disk = SimulatedFileSystem()
        let first = try EngineFixture(disk)
        first.startLog()
        for step in 0..<100 { _ = first.run("set", "hot", "\(step)") }
        first.waitForLog()
        let copy = disk.copy()
        copy.kill()
        let second = try EngineFixture(copy)
        second.startLog()
        second.wait { second.engine.shared.withLock { $0.tailByteCount } > 100 * 64 }
        second.engine.sweep()
        #expect(second.engine.shared.withLock { $0.tailByteCount } == 0)
        second.stop()
        first.stop()
    }

    /// Clients are held back also when nobody has time to measure but the log.
    @Test func theLogsThreadMeasuresTheMemtable() throws {
        let fixture = try EngineFixture { $0.sweepByteCount = 4 * 1024 }
        fixture.startLog()
        #expect(!fixture.engine.isCongested)
        let value = String(repeating: "v", count: 200)
        for number in 0..<400 { _ = fixture.run("set", "k\(number)", value) }
        fixture.waitForLog()
        fixture.waitUntilPlaced()
        #expect(fixture.engine.isCongested)
        fixture.engine.sweep()
        #expect(!fixture.engine.isCongested)
        fixture.stop()
    }

    /// DBSIZE answers while a sweep is under way: others need its thread.
    @Test func countingDoesNotWaitForASweep() throws {
        let fixture = try EngineFixture()
        fixture.startLog()
        for number in 0..<50 { _ = fixture.run("set", "k\(number)", "1") }
        fixture.waitForLog()
        fixture.waitUntilPlaced()
        fixture.engine.sweep()
        for number in 40..<60 { _ = fixture.run("set", "k\(number)", "2") }
        _ = fixture.run("del", "k0")
        let count = try fixture.engine.maintenance.withLock { _ in
            try fixture.engine.countKeys()
        }
        #expect(count == 59)
        fixture.stop()
    }
}
