import ArgumentParser

/// A span of time as people write it: `500us`, `10ms`, `30s`, `5m`, `1h`.
struct DurationArgument: ExpressibleByArgument, Hashable, CustomStringConvertible {
    let duration: Duration

    init(_ duration: Duration) {
        self.duration = duration
    }

    init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits), number >= 0, number <= 1_000_000_000 else { return nil }
        switch argument.dropFirst(digits.count) {
        case "us": self.duration = .microseconds(number)
        case "ms": self.duration = .milliseconds(number)
        case "s", "": self.duration = .seconds(number)
        case "m": self.duration = .seconds(number * 60)
        case "h": self.duration = .seconds(number * 3_600)
        default: return nil
        }
    }

    var description: String { "\(self.duration)" }
    var defaultValueDescription: String { self.description }
}

/// A number of bytes, `256` or `64KiB`, or a range of it, `100-4KiB`.
struct SizeRangeArgument: ExpressibleByArgument, Hashable, Sendable {
    let range: ClosedRange<Int>

    init(_ range: ClosedRange<Int>) {
        self.range = range
    }

    init?(argument: String) {
        let parts = argument.split(separator: "-", omittingEmptySubsequences: false)
        guard let first = parts.first, let lower = Self.byteCount(first), parts.count <= 2 else {
            return nil
        }
        guard parts.count == 2 else {
            self.range = lower...lower
            return
        }
        guard let upper = Self.byteCount(parts[1]), upper >= lower else { return nil }
        self.range = lower...upper
    }

    static func byteCount(_ text: Substring) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), number <= 1 << 40 else { return nil }
        switch text.dropFirst(digits.count) {
        case "", "B": return number
        case "KiB": return number << 10
        case "MiB": return number << 20
        default: return nil
        }
    }

    var defaultValueDescription: String {
        self.range.count == 1
            ? "\(self.range.lowerBound)" : "\(self.range.lowerBound)-\(self.range.upperBound)"
    }
}

/// Which keys an operation takes.
enum DistributionArgument: ExpressibleByArgument, Hashable, Sendable {
    case uniform
    case zipf(theta: Double)
    case sequential

    init?(argument: String) {
        switch argument {
        case "uniform": self = .uniform
        case "sequential": self = .sequential
        case "zipf": self = .zipf(theta: 0.99)
        default:
            guard argument.hasPrefix("zipf:"), let theta = Double(argument.dropFirst(5)),
                theta > 0, theta < 1
            else { return nil }
            self = .zipf(theta: theta)
        }
    }

    var defaultValueDescription: String {
        switch self {
        case .uniform: "uniform"
        case .sequential: "sequential"
        case .zipf(let theta): "zipf:\(theta)"
        }
    }
}

/// What a run does how often: `get=80,set=20`.
struct MixArgument: ExpressibleByArgument, Hashable, Sendable {
    let shares: [(operation: Operation, share: Int)]

    init(shares: [(operation: Operation, share: Int)]) {
        self.shares = shares
    }

    init?(argument: String) {
        var shares: [(operation: Operation, share: Int)] = []
        for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", omittingEmptySubsequences: false)
            guard words.count == 2, let operation = Operation(rawValue: String(words[0])),
                let share = Int(words[1]), share > 0, share <= 1_000_000,
                !shares.contains(where: { $0.operation == operation })
            else { return nil }
            shares.append((operation, share))
        }
        self.shares = shares
    }

    var defaultValueDescription: String {
        self.shares.map { "\($0.operation.rawValue)=\($0.share)" }.joined(separator: ",")
    }

    static func == (left: Self, right: Self) -> Bool {
        left.defaultValueDescription == right.defaultValueDescription
    }

    func hash(into hasher: inout Hasher) { hasher.combine(self.defaultValueDescription) }
}

/// What a run can do to a key.
enum Operation: String, CaseIterable, Hashable, Sendable {
    case get
    case set
    case incr
    case del
    case exists
    case ping
}
