internal import PrustReplication

/// Looks for an order of one key's operations that explains what all clients saw.
///
/// Source: Wing and Gong, Testing and Verifying Concurrent Objects (1993), with the memory of
/// Lowe, Testing for Linearizability (2017). Operations without an outcome may come at any time
/// after their call, or never; so may eventual writes (contract C1 and C2).
package struct LinearizabilityChecker {
    package enum Verdict: Equatable, Sendable {
        case linearizable
        case notLinearizable
        /// Too many operations, or too many orders to try.
        case undecided
    }

    /// States looked at before the checker gives up.
    private static let stateCountMax = 500_000
    private static let operationCountMax = 256

    private enum Step {
        case read
        case write(Int64?)
        case apply(SimulatedFunction)
    }

    private struct Call {
        var step: Step
        var calledAt: Int64
        var returnedAt: Int64
        /// What the client was told: the value read or there before, and whether it was written.
        var before: Int64??
        var didWrite: Bool?
        var isRequired: Bool

        var isRead: Bool {
            if case .read = self.step { return true }
            return self.didWrite == false
        }
    }

    private struct Place: Hashable {
        var done: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var value: Int64?

        static func == (left: Self, right: Self) -> Bool {
            left.done == right.done && left.value == right.value
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(self.done.0)
            hasher.combine(self.done.1)
            hasher.combine(self.done.2)
            hasher.combine(self.done.3)
            hasher.combine(self.value)
        }

        func contains(_ index: Int) -> Bool {
            let word =
                switch index >> 6 {
                case 0: self.done.0
                case 1: self.done.1
                case 2: self.done.2
                default: self.done.3
                }
            return word & (1 << UInt64(index & 63)) != 0
        }

        func with(_ index: Int, value: Int64?) -> Self {
            var copy = self
            copy.value = value
            let bit: UInt64 = 1 << UInt64(index & 63)
            switch index >> 6 {
            case 0: copy.done.0 |= bit
            case 1: copy.done.1 |= bit
            case 2: copy.done.2 |= bit
            default: copy.done.3 |= bit
            }
            return copy
        }
    }

    private var calls: [Call] = []
    private var seen: Set<Place> = []
    private var isTooLong = false

    /// Checks the operations on one key.
    package static func check(_ entries: [History.Entry]) -> Verdict {
        var checker = Self()
        checker.calls = Self.calls(entries)
        guard checker.calls.count <= Self.operationCountMax else { return .undecided }
        let isGood = checker.search(Place())
        if checker.isTooLong { return .undecided }
        return isGood ? .linearizable : .notLinearizable
    }

    private static func calls(_ entries: [History.Entry]) -> [Call] {
        let families = Self.families(entries)
        var calls: [Call] = []
        for entry in entries {
            // Reads at lower levels promise less; other checks look at them.
            if entry.level != .strong, entry.kind == .read { continue }
            var call = Call(
                step: Self.step(entry.kind),
                calledAt: entry.calledAt,
                returnedAt: entry.returnedAt ?? .max,
                before: nil,
                didWrite: nil,
                isRequired: true
            )
            switch entry.result {
            case .notApplied: continue
            case .unknown:
                guard Self.canMatter(entry, families) else { continue }
                call.isRequired = false
                call.returnedAt = .max
            case .read(let value, _): call.before = .some(value)
            case .written:
                // An eventual write takes effect at some moment after it began, or never.
                if entry.level == .eventual {
                    guard Self.canMatter(entry, families) else { continue }
                    call.isRequired = false
                    call.returnedAt = .max
                }
            case .applied(let answer, _):
                call.before = .some(answer.before)
                call.didWrite = answer.didWrite
            }
            calls.append(call)
        }
        return calls.sorted { $0.calledAt < $1.calledAt }
    }

    private static func step(_ kind: Operation<SimulatedFunction>.Kind) -> Step {
        switch kind {
        case .read: .read
        case .write(let content): .write(SimulatedValue.number(content.value))
        case .apply(let function): .apply(function)
        }
    }

    private static func family(_ value: Int64?) -> Int64 {
        value.map { $0 / SimulatedValue.familyCount } ?? -1
    }

    /// Written values, without what increments added, that somebody has seen or built on.
    private static func families(_ entries: [History.Entry]) -> Set<Int64> {
        var families: Set<Int64> = [0, -1]
        for entry in entries {
            switch entry.result {
            case .read(let value, _): families.insert(Self.family(value))
            case .applied(let answer, _): families.insert(Self.family(answer.before))
            case .unknown, .notApplied, .written: break
            }
        }
        // What an unknown comparison saw may have mattered for what it wrote.
        var hasGrown = true
        while hasGrown {
            hasGrown = false
            for entry in entries where entry.result == .unknown {
                guard case .apply(.compareAndSet(let expected, let new)) = entry.kind,
                    families.contains(Self.family(new))
                else { continue }
                if families.insert(Self.family(expected)).inserted { hasGrown = true }
            }
        }
        return families
    }

    /// Whether an operation that may not have happened could explain anything.
    private static func canMatter(_ entry: History.Entry, _ families: Set<Int64>) -> Bool {
        switch entry.kind {
        case .read: false
        case .write(let content):
            families.contains(Self.family(SimulatedValue.number(content.value)))
        case .apply(.increment), .apply(.getAndDelete): true
        case .apply(.compareAndSet(_, let new)), .apply(.setIfAbsent(let new)):
            families.contains(Self.family(new))
        }
    }

    /// The value after a call at a value, `nil` if the client was told something else.
    private func apply(_ call: Call, to value: Int64?) -> Int64?? {
        if let before = call.before, before != value { return .none }
        switch call.step {
        case .read: return .some(value)
        case .write(let new): return .some(new)
        case .apply(let function):
            let (after, didWrite) = function.next(value)
            if let told = call.didWrite, told != didWrite { return .none }
            return .some(after)
        }
    }

    private mutating func search(_ start: Place) -> Bool {
        var stack = [start]
        while let place = stack.popLast() {
            guard self.seen.insert(place).inserted else { continue }
            if self.seen.count > Self.stateCountMax {
                self.isTooLong = true
                return false
            }
            var firstReturn = Int64.max
            var isComplete = true
            for (index, call) in self.calls.enumerated()
            where call.isRequired && !place.contains(index) {
                isComplete = false
                firstReturn = min(firstReturn, call.returnedAt)
            }
            if isComplete { return true }
            self.push(place, firstReturn, &stack)
        }
        return false
    }

    private func push(_ place: Place, _ firstReturn: Int64, _ stack: inout [Place]) {
        var next: [Place] = []
        for (index, call) in self.calls.enumerated() where !place.contains(index) {
            if call.calledAt > firstReturn { break }
            guard let after = self.apply(call, to: place.value) else { continue }
            // A required call that fits and can change nothing may always come first. (A write of
            // the value that is there is not such a call: it may be needed later.)
            if call.isRequired, call.isRead {
                stack.append(place.with(index, value: after))
                return
            }
            if !call.isRequired, after == place.value { continue }
            next.append(place.with(index, value: after))
        }
        stack += next.reversed()
    }
}
