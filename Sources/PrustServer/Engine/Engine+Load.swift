package import PrustCore
import PrustStorage
import Synchronization

/// Bringing records from the disk into memory, on a disk thread.
extension Engine {
    /// A key that a command needs and that is not in memory.
    package struct Missing: Sendable {
        package var keyID: KeyID
        package var key: [UInt8]
    }

    /// Loads keys, so that the command can be tried again; the error says why one cannot be read.
    ///
    /// A key without a record is remembered as absent. Blocks on the disk. The command stands at
    /// the first key; whether the others can be read matters when it comes to them.
    package func load(_ missing: [Missing]) -> String? {
        guard let storage = self.storage else { return Self.tryAgain }
        // The key that the command stands at comes last, so that it stays.
        for (index, key) in missing.enumerated().reversed() {
            self.loadCount.wrappingAdd(1, ordering: .relaxed)
            do {
                try self.load(key, from: storage)
            } catch {
                guard self.isCurrent(storage) else { return Self.tryAgain }
                let isCorruption =
                    if case .some(.corrupt) = error as? ReadError { true } else { false }
                self.observer?.readFailed("\(error)", isCorruption: isCorruption)
                if storage.index.failure != nil { self.queue.interrupt() }
                if index == 0 { return "\(error)" }
            }
        }
        return nil
    }

    private enum Resident {
        case complete
        case at(Location, sequence: UInt64)
        case absent
    }

    private func load(_ missing: Missing, from storage: Storage) throws {
        let stripe = self.stripe(of: missing.keyID)
        let budget = self.options.cacheByteCount / self.stripes.count
        // A sweep or a re-opening between the look and what is made of it makes the look void.
        for _ in 0..<16 {
            let generation = stripe.generation
            let resident = stripe.withTable { table -> Resident in
                guard let index = table.find(missing.keyID) else { return .absent }
                let entry = table.entries[index]
                return entry.hasValue
                    ? .complete : .at(entry.location, sequence: entry.sequence)
            }
            switch resident {
            case .complete: return
            case .at(let location, let sequence):
                let isDone = try storage.reader.read(location, keyID: missing.keyID) { _, value in
                    stripe.withTable(ifSweptNoLaterThan: generation) { table in
                        guard let index = table.find(missing.keyID) else { return }
                        table.fill(index, sequence: sequence, location: location, value: value)
                        table.evict(toByteCount: budget, keeping: index)
                    }
                }
                if isDone { return }
            case .absent:
                if try self.insert(missing, stripe, storage, generation) { return }
            }
        }
    }

    private func insert(
        _ missing: Missing,
        _ stripe: Stripe,
        _ storage: Storage,
        _ generation: UInt64
    ) throws -> Bool {
        let budget = self.options.cacheByteCount / self.stripes.count
        let found = try storage.index.lookup(missing.keyID)
        guard let entry = found, !entry.isTombstone else {
            let version = found?.version ?? .zero
            return stripe.withTable(ifSweptNoLaterThan: generation) { table in
                let index = table.cacheAbsence(missing.keyID, version: version)
                table.evict(toByteCount: budget, keeping: index)
            }
        }
        return try storage.reader.read(entry.location, keyID: missing.keyID) { _, value in
            missing.key.withUnsafeBytes { key in
                stripe.withTable(ifSweptNoLaterThan: generation) { table in
                    let index = table.cache(
                        missing.keyID,
                        key: key,
                        value: value,
                        version: entry.version,
                        expiresAt: entry.expiresAt,
                        location: entry.location
                    )
                    table.evict(toByteCount: budget, keeping: index)
                }
            }
        }
    }
}
