import NIOCore
import PrustCore
import PrustWire
import Testing

@testable import prust_bench

@Suite struct WorkloadTests {
    static func counts(
        _ distribution: DistributionArgument,
        count: Int,
        draws: Int
    ) -> [Int] {
        var picker = KeyPicker(distribution, count: count)
        var random = SeededRandom(seed: 42)
        var counts = [Int](repeating: 0, count: count)
        for _ in 0..<draws { counts[picker.next(using: &random)] += 1 }
        return counts
    }

    @Test func uniformIsUniform() {
        let counts = Self.counts(.uniform, count: 100, draws: 100_000)
        #expect(counts.allSatisfy { (800...1_200).contains($0) })
    }

    @Test func sequentialCoversEveryKeyOnceAlsoWhenShared() {
        #expect(Self.counts(.sequential, count: 7, draws: 14) == Array(repeating: 2, count: 7))
        var counts = [Int](repeating: 0, count: 10)
        var random = SeededRandom(seed: 1)
        for loop in 0..<3 {
            var picker = KeyPicker(.sequential, count: 10, start: loop, stride: 3)
            for _ in 0..<RunPlan.share(of: 10, index: loop, count: 3) {
                counts[picker.next(using: &random)] += 1
            }
        }
        #expect(counts == Array(repeating: 1, count: 10))
    }

    @Test(arguments: [0.5, 0.99])
    func zipfRanksHaveTheirShares(theta: Double) {
        let count = 1_000
        var picker = KeyPicker(.zipf(theta: theta), count: count)
        var random = SeededRandom(seed: 9)
        var counts = [Int](repeating: 0, count: count)
        let draws = 400_000
        for _ in 0..<draws {
            if let rank = picker.nextRank(using: &random) { counts[rank] += 1 }
        }
        let zeta = (1...count).reduce(0.0) { $0 + 1 / Power.raise(Double($1), to: theta) }
        for rank in [0, 1] {
            let expected = Double(draws) / Power.raise(Double(rank + 1), to: theta) / zeta
            #expect(abs(Double(counts[rank]) - expected) < expected * 0.05)
        }
        // Beyond the first two ranks the method is an approximation.
        let tail = counts[100...].reduce(0, +)
        let expectedTail = (101...count).reduce(0.0) {
            $0 + Double(draws) / Power.raise(Double($1), to: theta) / zeta
        }
        #expect(abs(Double(tail) - expectedTail) < expectedTail * 0.1)
        #expect(counts.reduce(0, +) == draws)
    }

    @Test func zipfOfFewKeysStaysInside() {
        for count in [1, 2, 3] {
            #expect(Self.counts(.zipf(theta: 0.99), count: count, draws: 1_000).count == count)
        }
    }

    @Test func valuesHaveTheirSizesAndCompressAsAsked() {
        var random = SeededRandom(seed: 3)
        let half = ValuePool(sizes: 64...640, compressibility: 0.5, seed: 1)
        var sizes: Set<Int> = []
        for _ in 0..<5_000 {
            let value = half.next(using: &random)
            sizes.insert(value.readableBytes)
            let fixedCount = value.readableBytesView.count { $0 == UInt8(ascii: "p") }
            let part = Double(fixedCount) / Double(value.readableBytes)
            #expect(part > 0.25 && part < 0.75)
        }
        #expect(sizes.min().map { $0 >= 64 } == true && sizes.max().map { $0 <= 640 } == true)
        #expect(sizes.contains(64) && sizes.contains(640))
        let none = ValuePool(sizes: 0...0, compressibility: 1, seed: 1)
        #expect(none.next(using: &random).readableBytes == 0)
    }

    @Test func argumentsAreRead() {
        let durations: [(String, Duration?)] = [
            ("10s", .seconds(10)), ("10", .seconds(10)), ("5ms", .milliseconds(5)),
            ("7us", .microseconds(7)), ("2m", .seconds(120)), ("1h", .seconds(3_600)),
            ("", nil), ("s", nil), ("-1s", nil), ("1d", nil), ("99999999999s", nil),
        ]
        for (text, duration) in durations {
            #expect(DurationArgument(argument: text)?.duration == duration, "\(text)")
        }
        let sizes: [(String, ClosedRange<Int>?)] = [
            ("256", 256...256), ("1KiB", 1_024...1_024), ("100-4KiB", 100...4_096),
            ("1MiB-2MiB", 1_048_576...2_097_152), ("2-1", nil), ("a", nil), ("1-2-3", nil),
            ("-1", nil), ("1-", nil), ("1GB", nil),
        ]
        for (text, range) in sizes {
            #expect(SizeRangeArgument(argument: text)?.range == range, "\(text)")
        }
        let mixes: [(String, Bool)] = [
            ("get=80,set=20", true), ("ping=1", true), ("get", false), ("get=0", false),
            ("get=1,get=2", false), ("fly=1", false), ("get=1,", false), ("", false),
        ]
        for (text, isRight) in mixes {
            #expect((MixArgument(argument: text) != nil) == isRight, "\(text)")
        }
        let distributions: [(String, DistributionArgument?)] = [
            ("uniform", .uniform), ("zipf", .zipf(theta: 0.99)), ("zipf:0.5", .zipf(theta: 0.5)),
            ("sequential", .sequential), ("zipf:1", nil), ("zipf:0", nil), ("zipf:x", nil),
            ("normal", nil),
        ]
        for (text, distribution) in distributions {
            #expect(DistributionArgument(argument: text) == distribution, "\(text)")
        }
    }

    @Test func numbersForPeople() {
        #expect(Terminal.grouped(0) == "0")
        #expect(Terminal.grouped(-1_234_567) == "-1,234,567")
        #expect(Terminal.grouped(.min).hasPrefix("-9,223"))
        #expect(Terminal.decimal(1.25, digits: 1) == "1.3")
        #expect(Terminal.decimal(-0.04, digits: 2) == "-0.04")
        #expect(Terminal.decimal(9.996, digits: 2) == "10.00")
        #expect(Terminal.decimal(.infinity) == "inf")
        #expect(Progress.size(1_023) == "1023 B")
        #expect(Progress.size(1_536) == "1.5 KiB")
        let progress = Progress(total: 200, isTerminal: true)
        let text = progress.text(records: 10, readByteCount: 100, now: .now() + .seconds(2))
        #expect(text.hasPrefix("[############............] 50% 10 records, 100 B, "))
    }

    @Test func verdictsOnRecordsReadBack() {
        let record = Record(number: 1, line: 1, key: [1], value: [1, 2])
        let rows: [(RESPValue, String)] = [
            (.bulk(ByteBuffer(bytes: [1, 2])), "done"),
            (.bulk(ByteBuffer(bytes: [1])), "different"),
            (.bulk(ByteBuffer(bytes: [1, 3])), "different"), (.null, "missing"),
            (.error(ByteBuffer(string: "ERR x")), "refused(\"ERR x\")"),
            (.integer(1), "refused(\"a reply that is no answer to GET\")"),
        ]
        for (reply, outcome) in rows {
            #expect("\(VerifyCommand.judge(record, reply))" == outcome)
        }
    }

    @Test func budgetIsBoundedByItemsAndBytesButNeverBlocksASingleItem() {
        let budget = Budget(itemCountMax: 2, byteCountMax: 10)
        #expect(budget.take(byteCount: 100), "one item always fits")
        #expect(!budget.take(byteCount: 1))
        budget.give(itemCount: 1, byteCount: 100)
        #expect(budget.take(byteCount: 5))
        #expect(!budget.take(byteCount: 6))
        #expect(budget.take(byteCount: 5))
        #expect(!budget.take(byteCount: 0))
        #expect(budget.itemCount == 2)
    }
}
