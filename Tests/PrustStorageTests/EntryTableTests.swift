import PrustCore
import PrustStorage
import Testing

@Suite struct EntryTableTests {
    static func keyID(_ number: UInt64) -> KeyID {
        // Spread over the partitions, as SHA-256 would.
        var random = SeededRandom(seed: number)
        return KeyID(
            Identifier256(
                word0: random.next(),
                word1: random.next(),
                word2: random.next(),
                word3: random.next()
            )
        )
    }

    static func table() -> EntryTable {
        EntryTable(firstPartition: 0, partitionCount: 16, partitionBitCount: 4, hashSeed: 99)
    }

    @discardableResult
    static func put(
        _ table: EntryTable,
        _ number: UInt64,
        _ value: String,
        sequence: UInt64,
        isTombstone: Bool = false
    ) -> Int {
        Array("key-\(number)".utf8).withUnsafeBytes { key in
            Array(value.utf8).withUnsafeBytes { value in
                table.put(
                    Self.keyID(number),
                    key: key,
                    value: .init(value),
                    version: Version(term: .zero, hlc: sequence, writer: 0, count: 0),
                    expiresAt: 0,
                    isTombstone: isTombstone,
                    sequence: sequence
                )
            }
        }
    }

    static func value(_ table: EntryTable, _ number: UInt64) -> String? {
        guard let index = table.find(Self.keyID(number)) else { return nil }
        let entry = table.entries[index]
        return entry.isTombstone ? nil : String(decoding: entry.value, as: UTF8.self)
    }

    /// Thousands of random writes, sweeps, loads and evictions against a dictionary.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func agreesWithAModel(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let table = Self.table()
        var newest: [UInt64: String] = [:]
        var index: [UInt64: String] = [:]
        var sequence: UInt64 = 0
        for _ in 0..<8_000 {
            let number = UInt64.random(in: 0..<700, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                sequence += 1
                let length = Int.random(in: 0..<200, using: &random)
                let value = String(repeating: "v", count: length) + "\(sequence)"
                Self.put(table, number, value, sequence: sequence)
                newest[number] = value
            case 5..<7:
                sequence += 1
                Self.put(table, number, "", sequence: sequence, isTombstone: true)
                newest[number] = nil
            case 7:
                let bytes = Array((index[number] ?? "").utf8)
                if index[number] == nil {
                    table.cacheAbsence(Self.keyID(number), version: .zero)
                } else {
                    bytes.withUnsafeBytes { value in
                        Array("key-\(number)".utf8).withUnsafeBytes { key in
                            _ = table.cache(
                                Self.keyID(number),
                                key: key,
                                value: value,
                                version: .zero,
                                expiresAt: 0,
                                location: .none
                            )
                        }
                    }
                }
            case 8:
                for partition in 0..<16 { table.markSwept(partition: partition, through: sequence) }
                index = newest
                #expect(table.dirtyCount == 0 && table.dirtyByteCount == 0)
            default:
                table.evict(toByteCount: Int.random(in: 0..<60_000, using: &random))
            }
            if table.find(Self.keyID(number)) != nil {
                #expect(Self.value(table, number) == newest[number])
            }
        }
        for number in 0..<700 as Range<UInt64> where table.find(Self.keyID(number)) != nil {
            #expect(Self.value(table, number) == newest[number])
        }
        #expect(table.count == table.dirtyCount + table.cleanCount)
        table.evict(toByteCount: 0)
        #expect(table.cleanCount == 0 && table.cleanByteCount == 0)
        #expect(table.count == table.dirtyCount)
    }

    @Test func aSweepTakesWhatIsDurableInKeyOrder() {
        let table = Self.table()
        for number in 0..<200 as Range<UInt64> {
            let index = Self.put(table, number, "a", sequence: number + 1)
            let location = Location(segment: 1, offset: UInt32(number * 8), byteCount: 8)
            table.assign(location, to: index, sequence: number + 1, keptByteCountMax: 100)
        }
        var records: [EntryTable.Swept] = []
        for partition in 0..<16 {
            table.collectDirty(partition: partition, through: 100, into: &records)
        }
        #expect(records.count == 100)
        #expect(zip(records, records.dropFirst()).allSatisfy { $0.keyID < $1.keyID })
        for partition in 0..<16 { table.markSwept(partition: partition, through: 100) }
        #expect(table.dirtyCount == 100 && table.cleanCount == 100)
    }

    @Test func anOldPlaceDoesNotReachANewerRecord() {
        let table = Self.table()
        let index = Self.put(table, 1, "old", sequence: 1)
        Self.put(table, 1, "new", sequence: 2)
        let place = Location(segment: 1, offset: 8, byteCount: 8)
        table.assign(place, to: index, sequence: 1, keptByteCountMax: 100)
        #expect(table.entries[index].location == .none)
        table.assign(place, to: index, sequence: 2, keptByteCountMax: 2)
        #expect(table.entries[index].location == place)
        #expect(!table.entries[index].hasValue, "a value above the bound is dropped")
        Array("new".utf8).withUnsafeBytes { table.fill(index, sequence: 2, value: $0) }
        #expect(Self.value(table, 1) == "new")
    }

    @Test func liveKeysAreCountedAgainstTheIndex() {
        let table = Self.table()
        let index = Self.put(table, 1, "a", sequence: 1)
        #expect(table.unknownBaseCount == 1 && table.liveDelta == 0)
        table.resolveBase(index, isLive: false)
        #expect(table.unknownBaseCount == 0 && table.liveDelta == 1)
        Self.put(table, 1, "", sequence: 2, isTombstone: true)
        #expect(table.liveDelta == 0)
        for partition in 0..<16 { table.markSwept(partition: partition, through: 2) }
        #expect(table.liveDelta == 0 && table.unknownBaseCount == 0)
        Self.put(table, 1, "b", sequence: 3)
        #expect(table.liveDelta == 1, "a clean tombstone says that the index has no live key")
    }

    @Test func recoveryKeepsTheHighestVersion() {
        let table = Self.table()
        func recover(_ hlc: UInt64, isTombstone: Bool) -> Bool {
            Array("key-1".utf8).withUnsafeBytes { key in
                table.recover(
                    Self.keyID(1),
                    key: key,
                    version: Version(term: .zero, hlc: hlc, writer: 0, count: 0),
                    expiresAt: 0,
                    isTombstone: isTombstone,
                    valueByteCount: 3,
                    sequence: 0,
                    location: Location(segment: 1, offset: UInt32(hlc), byteCount: 8)
                )
            }
        }
        #expect(recover(5, isTombstone: false))
        #expect(!recover(4, isTombstone: true))
        let index = table.find(Self.keyID(1))
        #expect(index.map { table.entries[$0].location.offset } == 5)
        #expect(index.map { table.entries[$0].hasValue } == false)
    }

    /// SIEVE keeps what was used since the hand came by.
    @Test func whatIsUsedStays() {
        let table = Self.table()
        for number in 0..<10 as Range<UInt64> {
            table.cacheAbsence(Self.keyID(number), version: .zero)
        }
        if let used = table.find(Self.keyID(0)) { table.touch(used) }
        table.evict(toByteCount: table.cleanByteCount - 1)
        #expect(table.find(Self.keyID(0)) != nil)
        #expect(table.find(Self.keyID(1)) == nil)
        #expect(table.evictionCount == 1)
    }
}
