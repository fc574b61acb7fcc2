import PrustCore
import Testing

@testable import PrustServer

@Suite struct RepeatFilterTests {
    /// A small filter with its results as texts.
    private final class World {
        static let now = MonotonicInstant(seconds: 5)

        var filter = RepeatFilter<String>(
            burstCountMax: 2,
            kindCountMax: 4,
            kindPerSourceCountMax: 2
        )

        /// Counts events, all at once, and gives those that are written.
        func written(_ kinds: String..., from source: String) -> [String] {
            var written: [String] = []
            for kind in kinds {
                let isWritten = self.filter.isWritten(kind, from: source, now: Self.now)
                if isWritten { written.append(kind) }
            }
            return written
        }

        func repeated(_ now: MonotonicInstant, all: Bool = false) -> [String] {
            self.filter.takeRepeated(now: now, all: all).map { group, count in
                switch group {
                case .kind(let kind, let source): "\(kind) \(source) \(count)"
                case .source(let source): "any \(source) \(count)"
                case .rest: "rest \(count)"
                }
            }
        }
    }

    private static let end = MonotonicInstant(seconds: 65)

    private let world = World()

    @Test func theFirstAreWrittenAndTheRestCounted() {
        let written = self.world.written("a", "b", "a", "a", "b", "a", from: "x")
        #expect(written == ["a", "b", "a", "b"])
        #expect(self.world.written("a", from: "y") == ["a"])
        var early = Self.end
        early.nanoseconds -= 1
        #expect(self.world.repeated(early) == [])
        #expect(self.world.filter.windowCount == 3)
        #expect(self.world.repeated(Self.end) == ["a x 2"])
        #expect(self.world.filter.windowCount == 0)
        #expect(self.world.written("a", from: "x") == ["a"])
        #expect(self.world.repeated(World.now, all: true) == [])
        #expect(self.world.filter.windowCount == 0)
    }

    @Test func aSourceHasItsShare() {
        let written = self.world.written("a", "b", "c", "d", "a", from: "x")
        #expect(written == ["a", "b", "a"])
        // Another source is not concerned.
        #expect(self.world.written("c", from: "y") == ["c"])
        #expect(self.world.filter.windowCount == 4)
        #expect(self.world.repeated(Self.end) == ["any x 2"])
        #expect(self.world.written("c", "d", "e", from: "x") == ["c", "d"])
    }

    @Test func allTogetherAreBounded() {
        #expect(self.world.written("a", "b", from: "x") == ["a", "b"])
        #expect(self.world.written("a", "b", from: "y") == ["a", "b"])
        for source in ["z1", "z2", "z3"] {
            #expect(self.world.written("a", "b", "c", from: source) == [])
        }
        #expect(self.world.filter.windowCount == 5)
        // What was known before goes on.
        #expect(self.world.written("a", "a", from: "x") == ["a"])
        #expect(self.world.repeated(Self.end) == ["a x 1", "rest 9"])
    }

    @Test func windowsEndInTheirOrder() {
        for second in 0..<3 as Range<Int64> {
            let now = MonotonicInstant(seconds: second)
            for _ in 0..<3 {
                _ = self.world.filter.isWritten("k\(second)", from: "s\(second)", now: now)
            }
        }
        let first = self.world.repeated(MonotonicInstant(seconds: 61))
        #expect(first == ["k0 s0 1", "k1 s1 1"])
        #expect(self.world.repeated(MonotonicInstant(seconds: 62)) == ["k2 s2 1"])
    }
}
