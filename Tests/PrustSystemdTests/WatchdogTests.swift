import PrustCore
import PrustSystemd
import Testing

@Suite struct WatchdogTests {
    static func watchdog(progress: [UInt64] = [0, 0]) -> Watchdog {
        Watchdog(
            interval: .seconds(30),
            names: ["loop 0", "log writer"],
            progress: progress,
            now: .init(seconds: 100)
        )
    }

    struct Step: Sendable {
        let at: Int64
        let progress: [UInt64]
        let feed: Bool
        let ask: [Int]
        let silent: [String]
        let warn: Bool

        init(_ at: Int64, _ progress: [UInt64], feed: Bool) {
            self.init(at, progress, feed: feed, ask: feed ? [0, 1] : [])
        }

        init(
            _ at: Int64,
            _ progress: [UInt64],
            feed: Bool = false,
            ask: [Int] = [],
            silent: [String] = [],
            warn: Bool = false
        ) {
            (self.at, self.progress, self.feed) = (at, progress, feed)
            (self.ask, self.silent, self.warn) = (ask, silent, warn)
        }
    }

    static let table: [(name: String, steps: [Step])] = [
        ("all moved", [Step(106, [1, 1], feed: true), Step(112, [2, 5], feed: true)]),
        (
            "nobody moved, both answer",
            [
                Step(106, [0, 0], ask: [0, 1], silent: ["loop 0", "log writer"]),
                Step(112, [1, 1], feed: true),
                Step(118, [2, 2], feed: true),
            ]
        ),
        (
            "one does not answer: asked once, warned once at half time, never fed",
            [
                Step(106, [1, 0], ask: [1], silent: ["log writer"]),
                Step(112, [2, 0], silent: ["log writer"]),
                Step(114, [2, 0], silent: ["log writer"]),
                Step(115, [3, 0], silent: ["log writer"], warn: true),
                Step(118, [4, 0], silent: ["log writer"]),
            ]
        ),
        (
            "it comes back, and may fail and be warned of again",
            [
                Step(106, [1, 0], ask: [1], silent: ["log writer"]),
                Step(118, [2, 0], silent: ["log writer"], warn: true),
                Step(124, [3, 1], feed: true),
                Step(130, [3, 2], silent: ["loop 0"]),
                Step(139, [3, 3], silent: ["loop 0"], warn: true),
                Step(140, [4, 3], feed: true),
            ]
        ),
        (
            "counters that wrap or go back are movement",
            [Step(106, [.max, 7], feed: true), Step(112, [0, 6], feed: true)]
        ),
        (
            "a part that moved before the other still counts",
            [
                Step(106, [1, 0], ask: [1], silent: ["log writer"]),
                Step(112, [1, 1], feed: true),
            ]
        ),
    ]

    @Test(arguments: table)
    func polls(name: String, steps: [Step]) {
        var watchdog = Self.watchdog()
        for step in steps {
            let decision = watchdog.poll(progress: step.progress, now: .init(seconds: step.at))
            #expect(
                decision
                    == Watchdog.Decision(
                        feed: step.feed,
                        ask: step.ask,
                        silent: step.silent,
                        warn: step.warn
                    ),
                "\(name) at \(step.at)"
            )
        }
    }

    @Test func pollsFiveTimesAnInterval() {
        #expect(Self.watchdog().pollInterval == .seconds(6))
    }

    @Test func theEndOfTheClockDoesNotTrap() {
        var watchdog = Watchdog(
            interval: .seconds(Int64.max),
            names: ["a"],
            progress: [1],
            now: .init(nanoseconds: .max)
        )
        let decision = watchdog.poll(progress: [1], now: .init(nanoseconds: .max - 1))
        #expect(!decision.feed && !decision.warn)
    }
}
