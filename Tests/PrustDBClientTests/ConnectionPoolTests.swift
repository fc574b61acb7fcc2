import PrustCore
import Testing

@testable import PrustDBClient

@Suite struct ConnectionPoolTests {
    typealias ID = ConnectionPool.ConnectionID

    static func pool(
        min: Int = 1,
        max: Int = 2,
        depth: Int = 2,
        waiting: Int = 3,
        growth: Int = 2
    ) -> ConnectionPool {
        var settings = ConnectionPool.Settings()
        settings.connectionCountMin = min
        settings.connectionCountMax = max
        settings.pipelineDepthMax = depth
        settings.waitingCountMax = waiting
        settings.growthThreshold = growth
        settings.backoffMin = .milliseconds(100)
        settings.backoffMax = .milliseconds(400)
        return ConnectionPool(settings: settings)
    }

    static func id(_ slot: Int, _ generation: UInt64) -> ID {
        ID(slot: slot, generation: generation)
    }

    static let late = MonotonicInstant(seconds: 100)

    /// A pool with one ready connection.
    static func ready(max: Int = 2, depth: Int = 2, waiting: Int = 3) -> ConnectionPool {
        var pool = Self.pool(max: max, depth: depth, waiting: waiting)
        _ = pool.start()
        _ = pool.connected(Self.id(0, 1))
        return pool
    }

    @Test func startOpensTheMinimum() {
        var pool = Self.pool(min: 2, max: 3)
        #expect(pool.start() == [.open(Self.id(0, 1)), .open(Self.id(1, 1))])
        #expect(!pool.isConnected)
        #expect(pool.connected(Self.id(1, 1)) == [])
        #expect(pool.isConnected)
    }

    @Test func callsWaitForTheFirstConnectionInOrder() {
        var pool = Self.pool(depth: 2)
        _ = pool.start()
        for call in 1...3 as ClosedRange<UInt64> {
            #expect(pool.submit(call, deadline: Self.late) == .init(placement: .wait))
        }
        #expect(
            pool.submit(4, deadline: Self.late) == .init(placement: .reject(.overloaded))
        )
        #expect(
            pool.connected(Self.id(0, 1))
                == [.send(1, on: Self.id(0, 1)), .send(2, on: Self.id(0, 1))]
        )
        #expect(pool.finished(Self.id(0, 1), count: 1) == [.send(3, on: Self.id(0, 1))])
        #expect(pool.waitingCount == 0)
    }

    @Test func growsUnderLoadUpToTheMaximum() {
        var pool = Self.ready(max: 2, depth: 2)
        let (first, second) = (Self.id(0, 1), Self.id(1, 1))
        #expect(pool.submit(1, deadline: Self.late) == .init(placement: .send(on: first)))
        #expect(
            pool.submit(2, deadline: Self.late)
                == .init(placement: .send(on: first), open: second)
        )
        #expect(pool.submit(3, deadline: Self.late) == .init(placement: .wait))
        #expect(pool.connected(second) == [.send(3, on: second)])
        #expect(pool.submit(4, deadline: Self.late) == .init(placement: .send(on: second)))
        #expect(pool.submit(5, deadline: Self.late) == .init(placement: .wait))
    }

    @Test func leastLoadedConnectionIsTaken() {
        var pool = Self.pool(min: 2, max: 2, depth: 4, growth: 4)
        _ = pool.start()
        _ = pool.connected(Self.id(0, 1))
        _ = pool.connected(Self.id(1, 1))
        let slots = (1...4 as ClosedRange<UInt64>).map { call -> Int? in
            guard case .send(let id) = pool.submit(call, deadline: Self.late).placement else {
                return nil
            }
            return id.slot
        }
        #expect(slots == [0, 1, 0, 1])
    }

    @Test func waitingBoundHoldsAtItAndOnePast() {
        for bound in [0, 1, 5] {
            var pool = Self.ready(max: 1, depth: 1, waiting: bound)
            #expect(pool.submit(0, deadline: Self.late).placement == .send(on: Self.id(0, 1)))
            for call in 0..<UInt64(bound) {
                #expect(pool.submit(call + 1, deadline: Self.late).placement == .wait)
            }
            #expect(
                pool.submit(99, deadline: Self.late).placement == .reject(.overloaded)
            )
            // A call that is withdrawn makes room at once.
            #expect(pool.withdraw(1) == (bound > 0))
            #expect(pool.withdraw(1) == false)
            #expect(pool.withdraw(77) == false)
            if bound > 0 { #expect(pool.submit(100, deadline: Self.late).placement == .wait) }
        }
    }

    @Test func withdrawnCallsAreNotSent() {
        var pool = Self.pool(depth: 2)
        _ = pool.start()
        for call in 1...3 as ClosedRange<UInt64> { _ = pool.submit(call, deadline: Self.late) }
        #expect(pool.withdraw(2) == true)
        #expect(
            pool.connected(Self.id(0, 1))
                == [.send(1, on: Self.id(0, 1)), .send(3, on: Self.id(0, 1))]
        )
    }

    @Test func manyWithdrawnCallsKeepTheQueueSmall() {
        var pool = Self.pool(waiting: 4)
        _ = pool.start()
        _ = pool.submit(0, deadline: Self.late)
        for call in 1...10_000 as ClosedRange<UInt64> {
            #expect(pool.submit(call, deadline: Self.late).placement == .wait)
            #expect(pool.withdraw(call) == true)
        }
        #expect(pool.connected(Self.id(0, 1)) == [.send(0, on: Self.id(0, 1))])
    }

    @Test func expiryTakesWhatIsDueAndTellsTheNext() {
        var pool = Self.pool()
        _ = pool.start()
        _ = pool.submit(1, deadline: .init(seconds: 5))
        _ = pool.submit(2, deadline: .init(seconds: 3))
        _ = pool.submit(3, deadline: .init(seconds: 9))
        var result = pool.expire(now: .init(seconds: 2))
        #expect(result.expired == [])
        #expect(result.next == .init(seconds: 3))
        result = pool.expire(now: .init(seconds: 5))
        #expect(result.expired == [1, 2])
        #expect(result.next == .init(seconds: 9))
        result = pool.expire(now: .init(seconds: 10))
        #expect(result.expired == [3])
        #expect(result.next == nil)
        #expect(pool.waitingCount == 0)
    }

    @Test func backoffDoublesUpToItsMaximum() {
        var pool = Self.pool()
        _ = pool.start()
        var pauses: [Duration] = []
        for _ in 0..<5 {
            let generation = UInt64(pauses.count + 1)
            let id = Self.id(0, generation)
            let actions = pool.connectFailed(id, isHopeless: false, random: 0)
            guard case .retry(id, let pause)? = actions.first, actions.count == 1 else {
                Issue.record("\(actions)")
                return
            }
            pauses.append(pause)
            #expect(pool.retryDue(id) == [.open(Self.id(0, generation + 1))])
            #expect(pool.retryDue(id) == [], "a timer that fires twice is late")
        }
        #expect(
            pauses
                == [.milliseconds(100), .milliseconds(200), .milliseconds(200)]
                + [.milliseconds(200), .milliseconds(200)]
        )
    }

    @Test func halfOfThePauseIsRandom() {
        for (random, least, most) in [(UInt64.min, 50, 50), (.max, 99, 100)] {
            var pool = Self.ready(max: 1)
            let actions = pool.lost(Self.id(0, 1), random: random)
            guard case .retry(_, let pause)? = actions.first else {
                Issue.record("\(actions)")
                return
            }
            #expect(pause >= .milliseconds(least) && pause <= .milliseconds(most))
        }
    }

    @Test func hopelessFailureEndsWaitingCallsUnlessAConnectionIsReady() {
        var pool = Self.pool()
        _ = pool.start()
        _ = pool.submit(1, deadline: Self.late)
        _ = pool.submit(2, deadline: Self.late)
        let actions = pool.connectFailed(Self.id(0, 1), isHopeless: true, random: 0)
        #expect(actions.prefix(2) == [.failUnreachable(1), .failUnreachable(2)])
        #expect(pool.waitingCount == 0)

        var connected = Self.ready(max: 2, depth: 1)
        _ = connected.submit(1, deadline: Self.late)
        #expect(
            connected.submit(2, deadline: Self.late)
                == .init(placement: .wait, open: Self.id(1, 1))
        )
        #expect(connected.connectFailed(Self.id(1, 1), isHopeless: true, random: 0) == [])
        #expect(connected.finished(Self.id(0, 1), count: 1) == [.send(2, on: Self.id(0, 1))])
    }

    @Test func callsWaitForTheConnectionsThatAreStillUnderWay() {
        var pool = Self.pool(min: 3, max: 3)
        _ = pool.start()
        #expect(pool.submit(1, deadline: Self.late).placement == .wait)
        for slot in [0, 2] {
            let id = Self.id(slot, 1)
            #expect(
                pool.connectFailed(id, isHopeless: true, random: 0)
                    == [.retry(id, after: .milliseconds(100))]
            )
        }
        let last = Self.id(1, 1)
        var failed = pool
        let actions = failed.connectFailed(last, isHopeless: true, random: 0)
        #expect(actions.first == .failUnreachable(1))
        #expect(pool.connected(last) == [.send(1, on: last)])
    }

    @Test func lostConnectionIsReplacedOnlyIfNeeded() {
        var pool = Self.pool(min: 1, max: 2, depth: 1, growth: 1)
        _ = pool.start()
        _ = pool.connected(Self.id(0, 1))
        #expect(pool.submit(1, deadline: Self.late).open == Self.id(1, 1))
        _ = pool.connected(Self.id(1, 1))
        #expect(pool.lost(Self.id(0, 1), random: 0) == [])
        #expect(
            pool.lost(Self.id(1, 1), random: 0)
                == [.retry(Self.id(1, 1), after: .milliseconds(50))]
        )
        #expect(pool.submit(2, deadline: Self.late) == .init(placement: .wait))
        #expect(pool.retryDue(Self.id(1, 1)) == [.open(Self.id(1, 2))])
        #expect(pool.connected(Self.id(1, 2)) == [.send(2, on: Self.id(1, 2))])
    }

    @Test func staleEventsAreIgnored() {
        var pool = Self.ready()
        _ = pool.submit(1, deadline: Self.late)
        let stale = Self.id(0, 99)
        #expect(pool.connected(stale) == [.discard(stale)])
        #expect(pool.connected(Self.id(0, 1)) == [.discard(Self.id(0, 1))])
        #expect(pool.connected(Self.id(7, 1)) == [.discard(Self.id(7, 1))])
        #expect(pool.connectFailed(stale, isHopeless: true, random: 0) == [])
        #expect(pool.connectFailed(Self.id(0, 1), isHopeless: true, random: 0) == [])
        #expect(pool.retryDue(Self.id(0, 1)) == [])
        #expect(pool.lost(stale, random: 0) == [])
        #expect(pool.finished(stale, count: 1) == [])
        #expect(pool.isConnected)
    }

    @Test func closeEndsEverything() {
        var pool = Self.pool(min: 2, max: 2, depth: 1)
        _ = pool.start()
        _ = pool.connected(Self.id(0, 1))
        _ = pool.submit(1, deadline: Self.late)
        _ = pool.submit(2, deadline: Self.late)
        #expect(pool.close() == [.failClosed(2), .drain(Self.id(0, 1))])
        #expect(pool.close() == [])
        #expect(pool.submit(3, deadline: Self.late).placement == .reject(.closed))
        #expect(pool.connected(Self.id(1, 1)) == [.discard(Self.id(1, 1))])
        #expect(pool.finished(Self.id(0, 1), count: 1) == [])
        #expect(pool.lost(Self.id(0, 1), random: 0) == [])
    }
}

@Suite struct FifoTests {
    @Test func keepsOrderThroughGrowthAndShrinking() {
        var fifo = Fifo<Int>()
        var next = 0
        var expected = 0
        var random = SeededRandom(seed: 5)
        for _ in 0..<20_000 {
            if Int.random(in: 0..<100, using: &random) < 52 {
                fifo.append(next)
                next += 1
            } else if let element = fifo.popFirst() {
                #expect(element == expected)
                expected += 1
            } else {
                #expect(expected == next)
            }
            #expect(fifo.count == next - expected)
        }
        #expect(Array(fifo) == Array(expected..<next))
        fifo.removeAll { $0 % 2 == 0 }
        #expect(Array(fifo) == (expected..<next).filter { $0 % 2 == 1 })
        #expect(fifo.first == (expected..<next).first { $0 % 2 == 1 })
    }
}
