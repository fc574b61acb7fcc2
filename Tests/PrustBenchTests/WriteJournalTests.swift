import NIOCore
import PrustCore
import Testing

@testable import prust_bench

/// The checker must find every loss that is planted, and nothing else.
@Suite struct WriteJournalTests {
    /// One key that was written `tried` times, of which the writes up to `acknowledged` were
    /// answered.
    static func journal(tried: UInt64, acknowledged: UInt64) -> WriteJournal {
        var journal = WriteJournal(keyCount: 1)
        for write in 0..<tried {
            #expect(journal.begin(0) == write + 1)
            if write < acknowledged { journal.acknowledge(0, write: write + 1) }
        }
        return journal
    }

    static let table:
        [(tried: UInt64, acknowledged: UInt64, read: UInt64?, verdict: WriteJournal.Verdict)] = [
            (0, 0, 0, .right),
            (0, 0, 1, .changed),
            (0, 0, nil, .changed),
            (1, 0, 0, .right),
            (1, 0, 1, .right),
            (1, 1, 1, .right),
            (1, 1, 0, .lost),
            (3, 2, 2, .right),
            (3, 2, 3, .right),
            (3, 2, 1, .lost),
            (3, 2, 0, .lost),
            (3, 2, 4, .changed),
            (3, 2, nil, .changed),
            (3, 3, 2, .lost),
        ]

    @Test(arguments: table)
    func verdicts(
        tried: UInt64,
        acknowledged: UInt64,
        read: UInt64?,
        verdict: WriteJournal.Verdict
    ) {
        var journal = Self.journal(tried: tried, acknowledged: acknowledged)
        #expect(journal.judge(0, read: read) == verdict)
    }

    @Test func whatWasReadOnceMustStay() {
        var journal = Self.journal(tried: 3, acknowledged: 1)
        #expect(journal.judge(0, read: 2) == .right)
        #expect(journal.judge(0, read: 1) == .lost, "2 was seen, though never acknowledged")
        #expect(journal.judge(0, read: 3) == .right)
        #expect(journal.judge(0, read: 2) == .lost)
    }

    /// A simulated store under random writes, of which some are taken away behind the journal's
    /// back.
    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func plantedViolationsAreFoundAndNothingElse(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let keyCount = 200
        var journal = WriteJournal(keyCount: keyCount)
        var store = [UInt64](repeating: 0, count: keyCount)
        var acknowledged = store
        for _ in 0..<5_000 {
            let key = Int.random(in: 0..<keyCount, using: &random)
            let write = journal.begin(key)
            switch Int.random(in: 0..<10, using: &random) {
            case 0: break
            case 1: store[key] = write
            default:
                store[key] = write
                acknowledged[key] = write
                journal.acknowledge(key, write: write)
            }
        }
        var planted: Set<Int> = []
        for _ in 0..<20 {
            let key = Int.random(in: 0..<keyCount, using: &random)
            guard acknowledged[key] > 0 else { continue }
            store[key] = UInt64.random(in: 0..<acknowledged[key], using: &random)
            planted.insert(key)
        }
        let found = (0..<keyCount).filter { journal.judge($0, read: store[$0]) == .lost }
        #expect(Set(found) == planted)
    }

    @Test func everyChangedByteOfAValueIsSeen() {
        let value = JournalValue(seed: 7, sizes: 16...40)
        for write in 1...20 as ClosedRange<UInt64> {
            var bytes = ByteBuffer()
            value.write(key: 3, write: write, into: &bytes)
            #expect((16...40).contains(bytes.readableBytes))
            #expect(value.writeNumber(key: 3, of: bytes) == write)
            #expect(value.writeNumber(key: 4, of: bytes) == nil, "another key's value")
            #expect(
                JournalValue(seed: 8, sizes: 16...40).writeNumber(key: 3, of: bytes) != write
                    || bytes.readableBytes == 16
            )
            for index in 0..<bytes.readableBytes {
                var changed = bytes
                changed.setInteger((bytes.getInteger(at: index) ?? 0) ^ UInt8(1), at: index)
                #expect(value.writeNumber(key: 3, of: changed) != write)
            }
            let shorter = ByteBuffer(bytes: bytes.readableBytesView.dropLast())
            #expect(value.writeNumber(key: 3, of: shorter) == nil)
        }
        #expect(value.writeNumber(key: 0, of: ByteBuffer()) == nil)
    }
}
