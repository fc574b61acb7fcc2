import PrustCore
import PrustServer
import PrustSimulator
import PrustStorage
import Testing

@Suite struct EngineTests {
    @Test func whatIsDurableIsThereAfterAKill() throws {
        let disk = SimulatedFileSystem()
        let first = try EngineFixture(disk)
        first.startLog()
        #expect(first.run("set", "a", "1") == "+OK\r\n")
        #expect(first.run("incr", "a") == ":2\r\n")
        #expect(first.run("set", "gone", "x") == "+OK\r\n")
        #expect(first.run("del", "gone", "never") == ":1\r\n")
        first.waitForLog()
        // The machine goes on from the disk as it is; the first process never gets to end.
        let copy = disk.copy()
        copy.kill()
        let second = try EngineFixture(copy)
        second.startLog()
        #expect(second.run("get", "a") == "$1\r\n2\r\n")
        #expect(second.run("get", "gone") == "$-1\r\n")
        #expect(second.run("incr", "a") == ":3\r\n")
        second.waitForLog()
        second.stop()
        first.stop()
        let third = try EngineFixture(copy)
        third.startLog()
        #expect(third.engine.recoveryReport?.recordCount == 0, "a clean stop leaves no tail")
        #expect(third.run("get", "a") == "$1\r\n3\r\n")
        third.stop()
    }

    /// Nothing is acknowledged after a failed fsync, and the storage comes back by itself.
    @Test func aFailedSyncIsUnknownAndRecovers() throws {
        let disk = SimulatedFileSystem()
        let fixture = try EngineFixture(disk)
        fixture.startLog()
        _ = fixture.run("set", "kept", "1")
        fixture.waitForLog()
        let durable = fixture.engine.durable
        disk.plant(.init(.syncData, index: 0, .fails(5)))
        _ = fixture.run("set", "lost", "1")
        let sequence = fixture.executor.dependsOn
        fixture.waitForLog()
        let failure = try #require(fixture.engine.failures(after: durable).first)
        #expect(failure.after < sequence && sequence <= failure.through)
        #expect(failure.outcome == .unknown)
        Self.waitUntilServing(fixture)
        #expect(fixture.run("get", "kept") == "$1\r\n1\r\n")
        #expect(fixture.run("set", "new", "2") == "+OK\r\n")
        fixture.waitForLog()
        #expect(fixture.engine.failures(after: sequence).isEmpty)
        fixture.stop()
    }

    /// A full disk turns writes away, answers reads, and ends by itself.
    @Test func aFullDiskRefusesWritesAndHeals() throws {
        let disk = SimulatedFileSystem()
        let fixture = try EngineFixture(disk)
        fixture.startLog()
        _ = fixture.run("set", "kept", "1")
        fixture.waitForLog()
        disk.setCapacity(disk.usedByteCount)
        // What zstd cannot make smaller.
        var random = SeededRandom(seed: 1)
        let alphabet = Array(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/".utf8
        )
        let bytes = (0..<400_000).map { _ in alphabet[Int(random.next() % 64)] }
        let big = String(decoding: bytes, as: UTF8.self)
        _ = fixture.run("set", "big", big)
        let sequence = fixture.executor.dependsOn
        fixture.waitForLog()
        let failure = try #require(
            fixture.engine.failures(after: 0).first { $0.through >= sequence }
        )
        #expect(failure.outcome == .notApplied)
        while fixture.engine.state == .recovering { Clocks.sleep(milliseconds: 1) }
        #expect(fixture.engine.state == .diskFull)
        #expect(fixture.run("set", "more", "1").hasPrefix("-NOTAPPLIED the disk is full"))
        #expect(fixture.run("get", "kept") == "$1\r\n1\r\n")
        disk.setCapacity(.max)
        let engine = fixture.engine
        let maintenance = SystemThread(name: "sweep") { engine.runMaintenance() }
        Self.waitUntilServing(fixture)
        #expect(fixture.run("set", "more", "1") == "+OK\r\n")
        fixture.waitForLog()
        fixture.engine.stop()
        maintenance?.join()
        fixture.stop()
    }

    /// An index that has stopped is opened again, and nothing acknowledged is lost.
    @Test func anIndexThatStoppedIsOpenedAgain() throws {
        let disk = SimulatedFileSystem()
        let fixture = try EngineFixture(disk)
        fixture.startLog()
        for number in 0..<100 { _ = fixture.run("set", "k\(number)", "\(number)") }
        fixture.waitForLog()
        fixture.waitUntilPlaced()
        let durable = fixture.engine.durable
        disk.plant(.init(.write, index: 0, .fails(5)))
        fixture.engine.sweep()
        // That it was opened again shows in the records that are said to have failed: none.
        while fixture.engine.failures(after: 0).isEmpty { Clocks.sleep(milliseconds: 1) }
        #expect(fixture.engine.failures(after: durable).isEmpty)
        Self.waitUntilServing(fixture)
        for number in 0..<100 {
            let text = "\(number)"
            #expect(fixture.run("get", "k\(number)") == "$\(text.utf8.count)\r\n\(text)\r\n")
        }
        #expect(fixture.run("set", "new", "1") == "+OK\r\n")
        fixture.waitForLog()
        fixture.waitUntilPlaced()
        fixture.engine.sweep()
        #expect(fixture.engine.memoryUse.dirtyCount == 0)
        #expect(try fixture.engine.countKeys() == 101)
        fixture.stop()
    }

    static func waitUntilServing(_ fixture: EngineFixture) {
        while fixture.engine.state != .serving { Clocks.sleep(milliseconds: 1) }
    }

    /// Sweeps, cold reads and evictions never show an old value.
    @Test func sweepsAndColdReadsAgreeWithAModel() throws {
        var random = SeededRandom(seed: 5)
        let fixture = try EngineFixture()
        fixture.startLog()
        var model: [String: String] = [:]
        for step in 0..<3_000 {
            let key = "k\(Int.random(in: 0..<300, using: &random))"
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<8:
                let value = String(repeating: "v", count: step % 3_000) + "\(step)"
                #expect(fixture.run("set", key, value) == "+OK\r\n")
                model[key] = value
            case 8..<10:
                #expect(fixture.run("del", key) == ":\(model[key] == nil ? 0 : 1)\r\n")
                model[key] = nil
            case 10 where step % 100 < 10:
                fixture.waitForLog()
                fixture.engine.sweep()
                #expect(try fixture.engine.countKeys() == model.count)
            default:
                let value = model[key].map { "$\($0.utf8.count)\r\n\($0)\r\n" } ?? "$-1\r\n"
                #expect(fixture.run("get", key) == value)
            }
        }
        fixture.waitForLog()
        fixture.engine.sweep()
        #expect(try fixture.engine.countKeys() == model.count)
        var cursor: UInt64 = 0
        var keys: Set<String> = []
        repeat {
            let request = ScanRequest(
                cursor: cursor,
                count: 7,
                pattern: nil,
                matchesType: true,
                wall: WallTime(milliseconds: 1)
            )
            let result = try fixture.engine.scan(request)
            keys.formUnion(result.keys.map { String(decoding: $0, as: UTF8.self) })
            cursor = result.cursor
        } while cursor != 0
        #expect(keys == Set(model.keys))
        fixture.stop()
    }

    /// The reply "absent" for an expired key depends on its tombstone, whatever a clock says later.
    @Test func anExpiredKeyStaysGone() throws {
        let fixture = try EngineFixture()
        fixture.startLog()
        _ = fixture.run("set", "a", "1", "px", "500", wall: 1_000)
        #expect(fixture.run("get", "a", wall: 1_499) == "$1\r\n1\r\n")
        let before = fixture.executor.dependsOn
        #expect(fixture.run("get", "a", wall: 1_500) == "$-1\r\n")
        #expect(fixture.executor.dependsOn > before, "a tombstone was written")
        #expect(fixture.run("get", "a", wall: 1_000) == "$-1\r\n", "the clock went back")
        fixture.stop()
    }

    /// A clock that was set back between two runs must not let old values win.
    @Test func aClockSetBackDoesNotLoseWrites() throws {
        let disk = SimulatedFileSystem()
        let first = try EngineFixture(disk)
        first.startLog()
        _ = first.run("set", "a", "old", wall: 9_000_000)
        first.waitForLog()
        first.stop()
        let second = try EngineFixture(disk)
        second.startLog()
        _ = second.run("set", "a", "new", wall: 1_000)
        second.waitForLog()
        second.stop()
        let third = try EngineFixture(disk)
        third.startLog()
        #expect(third.run("get", "a") == "$3\r\nnew\r\n")
        third.stop()
    }

    @Test func keysAndValuesAreBounded() throws {
        let fixture = try EngineFixture()
        fixture.startLog()
        let key = String(repeating: "k", count: Limits.keyByteCountMax)
        #expect(fixture.run("set", key, "1") == "+OK\r\n")
        #expect(fixture.run("set", key + "k", "1").contains("key-bytes"))
        let value = String(repeating: "v", count: Limits.valueByteCountMax)
        #expect(fixture.run("set", "a", value) == "+OK\r\n")
        #expect(fixture.run("strlen", "a") == ":\(Limits.valueByteCountMax)\r\n")
        #expect(fixture.run("append", "a", "v").contains("value-bytes"))
        #expect(fixture.run("set", "a", value + "v").contains("value-bytes"))
        #expect(fixture.run("setrange", "a", "\(Limits.valueByteCountMax)", "v").contains("value"))
        fixture.stop()
    }
}
