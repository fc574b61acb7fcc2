import PrustCore
import PrustSimulator
import PrustStorage
import Testing

/// What all storage tests share.
enum Fixture {
    static let storageID = StorageID(Identifier256(word0: 1, word1: 2, word2: 3, word3: 4))
    static let directory = "/data"

    static func options(
        segmentByteCount: Int = 12 * 1024,
        extensionByteCount: Int = 2048
    ) -> StorageOptions {
        var options = StorageOptions(
            newStorageID: Self.storageID,
            createdAt: WallTime(milliseconds: 1_700_000_000_000)
        )
        options.segmentByteCount = segmentByteCount
        options.extensionByteCount = extensionByteCount
        options.indexCacheByteCount = 1024 * 1024
        options.readHandleCountMax = 4
        return options
    }

    static func segmentPath(_ number: UInt32) -> String {
        "\(Self.directory)/segments/\(SegmentDirectory.name(number))"
    }

    static let indexPath = "\(Self.directory)/index/index.db"

    static func key(_ number: Int) -> [UInt8] { Array("key-\(number)".utf8) }

    static func keyID(_ number: Int) -> KeyID {
        Self.key(number).withUnsafeBytes { SimulatedHash.keyID(of: $0) }
    }

    /// Bytes that zstd cannot make shorter.
    static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() >> 32) }
    }

    static func version(_ hlc: UInt64) -> Version {
        Version(term: .zero, hlc: hlc, writer: 1, count: 0)
    }

    static func store(
        _ fileSystem: any FileSystem,
        _ options: StorageOptions = Fixture.options(),
        bug: SynchronousStore.Bug = .none
    ) throws(StorageError) -> SynchronousStore {
        try SynchronousStore(
            directory: Self.directory,
            fileSystem: fileSystem,
            options: options,
            bug: bug
        )
    }
}

extension SegmentLog {
    func append(
        _ fields: RecordFields,
        _ key: [UInt8],
        _ value: [UInt8]
    ) throws -> Location? {
        try key.withUnsafeBytes { key in
            try value.withUnsafeBytes { value in
                try self.append(fields, key: key, value: value)
            }
        }
    }
}

/// What a store may answer: the last acknowledged value of each key, or one written after it.
struct Model {
    private var acknowledged: [[UInt8]: [UInt8]?] = [:]
    private var pending: [(key: [UInt8], value: [UInt8]?)] = []
    private(set) var isEmpty = true

    mutating func take(_ events: [SynchronousStore.Event]) {
        for event in events {
            self.isEmpty = false
            switch event {
            case .issued(let key, let value):
                self.pending.append((key, value))
            case .acknowledged:
                for write in self.pending { self.acknowledged[write.key] = .some(write.value) }
                self.pending = []
            case .voided:
                self.pending = []
            }
        }
    }

    func allows(_ value: [UInt8]?, for key: [UInt8]) -> Bool {
        let settled = self.acknowledged[key] ?? nil
        return value == settled || self.pending.contains { $0.key == key && $0.value == value }
    }
}

/// A few dozen random operations on a store, and the check of what is left of them.
struct Workload {
    static let keyCount = 6
    let seed: UInt64
    var stepCount = 22
    var bug = SynchronousStore.Bug.none

    /// Runs until the end or the first error that needs the store to be opened again.
    func run(_ fileSystem: SimulatedFileSystem) -> (model: Model, error: (any Error)?) {
        var model = Model()
        var failure: (any Error)?
        do {
            let store = try Fixture.store(fileSystem, bug: self.bug)
            var random = SeededRandom(seed: self.seed)
            do {
                for step in 0..<self.stepCount { try self.step(step, store, &random) }
            } catch {
                failure = error
            }
            model.take(store.events)
        } catch {
            failure = error
        }
        return (model, failure)
    }

    private func step(
        _ step: Int,
        _ store: SynchronousStore,
        _ random: inout SeededRandom
    ) throws {
        let key = Fixture.key(Int(random.next() % UInt64(Self.keyCount)))
        let count = [9, 70, 300, 900, 4000][Int(random.next() % 5)]
        let value =
            step % 2 == 0
            ? Fixture.noise(count, seed: self.seed &+ UInt64(step))
            : Array(repeating: UInt8(step), count: count)
        do {
            switch step % 11 {
            case 2, 5, 9: try store.commit()
            case 6: try store.sweep()
            case 10: try store.checkpoint()
            case 3: try store.put(key, nil)
            default: try store.put(key, value)
            }
        } catch StorageError.full {
            // A full disk is no reason to stop; everything else is.
        } catch let error as IndexError where error.kind == .full {
        }
    }

    /// Opens what is left, compares it with the model, and sees that the answers outlive another
    /// crash and go on being right when more is written.
    static func check(
        _ fileSystem: SimulatedFileSystem,
        _ model: Model,
        _ random: inout SeededRandom
    ) -> [String] {
        var findings: [String] = []
        do {
            var answers: [[UInt8]?] = []
            do {
                let store = try Fixture.store(fileSystem)
                for number in 0..<Self.keyCount {
                    let answer = try store.get(Fixture.key(number))
                    answers.append(answer)
                    if !model.allows(answer, for: Fixture.key(number)) {
                        findings.append("key \(number) has \(answer?.count ?? -1) bytes")
                    }
                }
                if !store.storage.report.corruptRegions.isEmpty {
                    findings.append("corrupt: \(store.storage.report.corruptRegions)")
                }
                findings += try store.storage.index.verify()
            }
            fileSystem.crash(random: &random)
            do {
                let store = try Fixture.store(fileSystem)
                for number in 0..<Self.keyCount
                where try store.get(Fixture.key(number))
                    != answers[number]
                {
                    findings.append("key \(number) changed in the second crash")
                }
                try store.put(Fixture.key(99), [1, 2, 3])
                try store.commit()
                try store.sweep()
                try store.put(Fixture.key(98), [4])
                try store.commit()
                try store.close()
            }
            let store = try Fixture.store(fileSystem)
            if try store.get(Fixture.key(99)) != [1, 2, 3] { findings.append("key 99 is lost") }
            if try store.get(Fixture.key(98)) != [4] { findings.append("key 98 is lost") }
            if let reason = store.storage.report.indexRebuilt {
                findings.append("index rebuilt after a clean end: \(reason)")
            }
            if store.storage.report.rewrittenRecordCount > 0 {
                findings.append("records rewritten after a clean end")
            }
            findings += try store.storage.index.verify()
        } catch {
            findings.append("\(error)")
        }
        return findings
    }
}
