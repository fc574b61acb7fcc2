import NIOCore
import PrustCore
import PrustWire

/// Writes random commands of a mix, with keys and values of its own, without allocating.
struct CommandWriter {
    private static let digitCount = 12

    private let plan: RunPlan
    /// The operation of each of the mix's shares, by index in `Operation.allCases`.
    private let thresholds: [(limit: Int, operation: Int)]
    private let shareCount: Int
    private var picker: KeyPicker
    private var random: SeededRandom
    private var key: [UInt8]

    init(plan: RunPlan, loop: Int) {
        self.plan = plan
        self.random = SeededRandom(seed: plan.seed &+ UInt64(loop) &* 0x9E37_79B9)
        self.picker = KeyPicker(
            plan.distribution,
            count: plan.keyCount,
            start: loop,
            stride: plan.threadCount
        )
        var limit = 0
        var thresholds: [(limit: Int, operation: Int)] = []
        for (operation, share) in plan.mix.shares {
            limit += share
            let index = Operation.allCases.firstIndex(of: operation) ?? 0
            thresholds.append((limit, index))
        }
        self.thresholds = thresholds
        self.shareCount = limit
        self.key = plan.keyPrefix + Array(repeating: 0x30, count: Self.digitCount)
    }

    /// Writes one command and says which operation it is.
    mutating func write(into buffer: inout ByteBuffer) -> Int {
        let point =
            self.thresholds.count == 1 ? 0 : KeyPicker.uniform(self.shareCount, using: &self.random)
        let operation = self.thresholds.first { point < $0.limit }?.operation ?? 0
        switch Operation.allCases[operation] {
        case .get: self.writeKey("GET", argumentCount: 2, into: &buffer)
        case .incr: self.writeKey("INCR", argumentCount: 2, isCounter: true, into: &buffer)
        case .del: self.writeKey("DEL", argumentCount: 2, into: &buffer)
        case .exists: self.writeKey("EXISTS", argumentCount: 2, into: &buffer)
        case .ping:
            RESPCommandEncoder.begin(argumentCount: 1, into: &buffer)
            RESPCommandEncoder.argument("PING", into: &buffer)
        case .set:
            self.writeKey("SET", argumentCount: 3, into: &buffer)
            let value = self.plan.values.next(using: &self.random)
            RESPCommandEncoder.argument(value, into: &buffer)
        }
        return operation
    }

    /// Writes a command up to its key; counters have keys of their own, ending in `n`.
    private mutating func writeKey(
        _ name: StaticString,
        argumentCount: Int,
        isCounter: Bool = false,
        into buffer: inout ByteBuffer
    ) {
        var rest = self.picker.next(using: &self.random)
        var index = self.key.count
        for _ in 0..<Self.digitCount {
            index -= 1
            self.key[index] = UInt8(truncatingIfNeeded: rest % 10) + 0x30
            rest /= 10
        }
        RESPCommandEncoder.begin(argumentCount: argumentCount, into: &buffer)
        RESPCommandEncoder.argument(name, into: &buffer)
        if isCounter {
            RESPCommandEncoder.argument(self.key + [UInt8(ascii: "n")], into: &buffer)
        } else {
            RESPCommandEncoder.argument(self.key, into: &buffer)
        }
    }
}
