import PrustCore
import Testing

@Suite struct ValueTests {
    static let versions: [(String, Version)] = [
        ("0.0.0-0-0-0", .zero),
        (
            "1.2.ff-18f3a00000001-3-4",
            Version(
                term: Ballot(epoch: 1, round: 2, index: 255),
                hlc: 0x18f3a_0000_0001,
                writer: 3,
                count: 4
            )
        ),
    ]

    @Test(arguments: versions)
    func versionTextGoesBothWays(text: String, version: Version) {
        #expect(version.description == text)
        #expect(Version(text) == version)
    }

    @Test(arguments: [
        "", "1", "1-2-3-4", "1.2-3-4-5", "1.2.3-4-5", "1.2.3-4-5-g", "1.2.3-4-5-1ffffffff",
    ])
    func badVersionTextIsRefused(text: String) {
        #expect(Version(text) == nil)
    }

    @Test func theLongestVersionTextFitsAndNothingLonger() {
        let most = Version(
            term: Ballot(epoch: .max, round: .max, index: .max),
            hlc: .max,
            writer: .max,
            count: .max
        )
        #expect(most.description.utf8.count == Version.textByteCountMax)
        #expect(Version(most.description) == most)
        #expect(Version("0" + most.description) == nil)
        #expect(Version(String(repeating: "-", count: 1_000_000)) == nil)
    }

    /// Each row is below the next one: term first, then time, writer and count.
    @Test func versionsAreOrderedByFieldsInTurn() {
        func version(
            _ e: UInt32,
            _ r: UInt32,
            _ i: UInt32,
            _ h: UInt64,
            _ w: UInt32,
            _ c: UInt32
        )
            -> Version
        {
            Version(term: Ballot(epoch: e, round: r, index: i), hlc: h, writer: w, count: c)
        }
        let rising = [
            version(0, 9, 9, 9, 9, 9), version(1, 0, 9, 9, 9, 9), version(1, 1, 0, 9, 9, 9),
            version(1, 1, 1, 0, 9, 9), version(1, 1, 1, 1, 0, 9), version(1, 1, 1, 1, 1, 0),
            version(1, 1, 1, 1, 1, 1),
        ]
        for (lower, upper) in zip(rising, rising.dropFirst()) {
            #expect(lower < upper)
            #expect(!(upper < lower))
        }
    }

    @Test func clockNeverGoesBack() {
        var clock = HybridClock()
        let first = clock.next(wall: WallTime(milliseconds: 1_000))
        let second = clock.next(wall: WallTime(milliseconds: 500))
        #expect(second == first + 1)
        clock.observe(second + 100)
        #expect(clock.next(wall: WallTime(milliseconds: 1_000)) == second + 101)
        #expect(HybridClock.wallTime(of: first) == WallTime(milliseconds: 1_000))
        #expect(clock.next(wall: WallTime(milliseconds: -5)) == second + 102)
    }

    @Test func identifiersReadBack() throws {
        let bytes = (0..<32).map { UInt8($0) }
        let identifier = try #require(Identifier256(bytes: bytes))
        #expect(identifier.bytes == bytes)
        #expect(Identifier256(hex: identifier.description) == identifier)
        #expect(Identifier256(hex: "00") == nil)
        #expect(Identifier256(bytes: bytes.dropLast()) == nil)
        #expect(Hex.decode("0g") == nil)
        #expect(Hex.decode("012") == nil)
    }

    @Test func partitionIsTheTopBits() {
        let key = KeyID(Identifier256(word0: 0xFFC0_0000_0000_0000, word1: 0, word2: 0, word3: 0))
        #expect(key.partition(bitCount: 10) == 1023)
        #expect(key.partition(bitCount: 0) == 0)
        #expect(key.partition(bitCount: 20) == 0xFFC00)
        #expect(KeyID.first < key && key < KeyID.last)
    }

    @Test func randomIsTheSameForOneSeed() {
        var one = SeededRandom(seed: 7)
        var two = SeededRandom(seed: 7)
        var other = SeededRandom(seed: 8)
        let values = (0..<100).map { _ in one.next() }
        #expect(values == (0..<100).map { _ in two.next() })
        #expect(values != (0..<100).map { _ in other.next() })
    }
}
