import NIOConcurrencyHelpers
import NIOCore
import PrustCore
import PrustSimulator
import PrustStorage
import PrustWire
import Synchronization

@testable import PrustServer

/// An engine over a simulated disk, with its log thread, and one event loop's executor.
final class EngineFixture {
    let fileSystem: SimulatedFileSystem
    let engine: Engine
    let executor: CommandExecutor
    private var logThread: SystemThread?
    private let moved = ConditionLock(value: false)

    init(
        _ fileSystem: SimulatedFileSystem = SimulatedFileSystem(),
        observer: (any EngineObserver)? = nil,
        configure: (inout Engine.Options) -> Void = { _ in }
    ) throws {
        self.fileSystem = fileSystem
        var storage = StorageOptions(
            newStorageID: StorageID(.max),
            createdAt: WallTime(milliseconds: 1)
        )
        storage.segmentByteCount = 1024 * 1024
        storage.extensionByteCount = 64 * 1024
        var options = Engine.Options(directory: "/data", storage: storage)
        options.partitionBitCount = 4
        options.stripeCount = 4
        options.cacheByteCount = 256 * 1024
        configure(&options)
        self.engine = Engine(
            options: options,
            fileSystem: fileSystem,
            hashSeed: 7,
            observer: observer
        )
        self.executor = CommandExecutor(engine: self.engine, allocator: ByteBufferAllocator())
        let moved = self.moved
        self.engine.addListener {
            moved.lock()
            moved.unlock(withValue: true)
        }
        try self.engine.open()
    }

    func startLog() {
        let engine = self.engine
        self.logThread = SystemThread(name: "log") { engine.runLog() }
    }

    /// Lets the log write what waits and end: what is written after this is never durable.
    func stopLog() {
        self.engine.stop()
        self.logThread?.join()
        self.logThread = nil
    }

    /// Ends as the daemon does: everything that waits is written, swept and closed.
    func stop() {
        self.stopLog()
        self.engine.sweep()
        self.engine.close()
    }

    /// Runs one command, loading what it needs, and returns its raw reply.
    func run(_ words: String..., wall: Int64 = 1_000_000) -> String {
        let bytes = words.map { Array($0.utf8) }
        let all = bytes.flatMap { $0 }
        var offset: UInt32 = 0
        let places = bytes.map { word in
            defer { offset += UInt32(word.count) }
            return RequestArguments.Place(offset: offset, byteCount: UInt32(word.count))
        }
        self.executor.out.clear()
        self.executor.wall = WallTime(milliseconds: wall)
        self.executor.begin()
        return all.withUnsafeBytes { raw in
            places.withUnsafeBufferPointer { places in
                guard let base = raw.baseAddress,
                    let command = Array(words[0].utf8).withUnsafeBytes({ Command.named($0) })
                else { return "no command" }
                let arguments = RequestArguments(base: base, places: places)
                while self.executor.run(command, arguments) == .cold {
                    let missing = self.executor.missing
                    self.executor.missing.removeAll()
                    if let failure = self.engine.load(missing) { return failure }
                }
                return String(buffer: self.executor.out)
            }
        }
    }

    /// Wakes the log and waits until it has dealt with everything so far, well or badly.
    func waitForLog() {
        let sequence = self.executor.dependsOn
        self.engine.flush()
        while self.engine.durable < sequence {
            guard self.moved.lock(whenValue: true, timeoutSeconds: 1) else { continue }
            self.moved.unlock(withValue: false)
        }
    }

    /// Lets the log fail once, and waits until the storage has been opened again.
    func failLog() {
        let generation = self.engine.generation
        self.fileSystem.plant(.init(.syncData, index: 0, .fails(5)))
        _ = self.run("set", "lost", "1")
        self.waitForLog()
        self.wait { self.engine.generation > generation && self.engine.state == .serving }
    }

    /// Waits for something that other threads bring about.
    func wait(until isDone: () -> Bool) {
        while !isDone() { Clocks.sleep(milliseconds: 1) }
    }

    /// Waits until the entries know where their durable records are.
    ///
    /// That is a moment after ``waitForLog()``, and before it a sweep leaves them alone.
    func waitUntilPlaced() {
        let sequence = self.engine.durable
        while self.engine.shared.withLock({ $0.assigned.sequence }) < sequence {
            Clocks.sleep(milliseconds: 1)
        }
    }
}
