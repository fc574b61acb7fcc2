import PrustCore
import PrustStorage

/// Counting the keys; on a disk thread.
extension Engine {
    /// Keys of one look into the index, so that others get in between.
    private static let lookupCountMax = 1_000

    /// Counts the live keys; those of the index that expired and that nobody touched are included.
    ///
    /// Keys that were written blindly are looked up first: whether they were there already is not
    /// known until then. Waits for no sweep: while one is under way, what it is just moving may
    /// count twice.
    package func countKeys() throws(ScanError) -> Int {
        guard let storage = self.storage else { throw ScanError(description: Self.tryAgain) }
        var count = 0
        do throws(IndexError) {
            var expiredCount = 0
            for stripe in self.stripes {
                for partition in stripe.partitions {
                    expiredCount += try self.resolveBases(of: partition, stripe, storage)
                }
            }
            count = max(storage.index.count + self.memoryUse.liveDelta - expiredCount, 0)
        } catch {
            guard self.isCurrent(storage) else { throw ScanError(description: Self.tryAgain) }
            if storage.index.failure != nil { self.queue.interrupt() }
            throw ScanError(description: "\(error)")
        }
        guard self.isCurrent(storage) else { throw ScanError(description: Self.tryAgain) }
        return count
    }

    /// Finds out what is not known of a partition; returns how many dirty keys have expired.
    private func resolveBases(
        of partition: Int,
        _ stripe: Stripe,
        _ storage: Storage
    ) throws(IndexError) -> Int {
        let now = Clocks.wall().milliseconds
        var expiredCount = 0
        // A sweep between the look into the index and its note makes the look void.
        for _ in 0..<4 {
            expiredCount = 0
            var unknown: [KeyID] = []
            let generation = stripe.generation
            stripe.withTable { table in
                table.forEachDirty(partition: partition) { index in
                    let entry = table.entries[index]
                    let isExpired = entry.expiresAt != 0 && entry.expiresAt <= now
                    if isExpired, !entry.isTombstone { expiredCount += 1 }
                    if entry.base == .unknown { unknown.append(entry.keyID) }
                }
            }
            var rest = unknown[...]
            var isValid = true
            while isValid, !rest.isEmpty {
                let keyIDs = Array(rest.prefix(Self.lookupCountMax))
                rest = rest.dropFirst(keyIDs.count)
                let rows = try storage.index.lookup(keyIDs)
                isValid = stripe.withTable(ifSweptNoLaterThan: generation) { table in
                    for (keyID, row) in zip(keyIDs, rows) {
                        guard let index = table.find(keyID) else { continue }
                        table.resolveBase(index, isLive: row.map { !$0.isTombstone } ?? false)
                    }
                }
            }
            if isValid { break }
        }
        return expiredCount
    }
}
