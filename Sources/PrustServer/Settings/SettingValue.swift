/// A value of a setting after its text was read and its bounds were checked.
package enum SettingValue: Equatable, Sendable {
    case integer(Int)
    /// Bytes.
    case size(Int)
    case duration(Duration)
    case endpoint(Endpoint)
    case text(String)
}

extension SettingValue: CustomStringConvertible {
    /// The text that a settings file would hold.
    package var description: String {
        switch self {
        case .integer(let value): "\(value)"
        case .size(let value): SettingUnit.size(value)
        case .duration(let value): SettingUnit.duration(value)
        case .endpoint(let value): value.description
        case .text(let value): value
        }
    }
}

/// Units of sizes and durations: read and written in one place.
package enum SettingUnit {
    static let sizes: [(suffix: String, factor: Int)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ]
    /// In milliseconds.
    static let durations: [(suffix: String, factor: Int)] = [
        ("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000),
    ]

    /// Reads `64MiB`; `nil` when the text is no size or too large to count.
    package static func size(_ text: some StringProtocol) -> Int? {
        Self.read(text, units: Self.sizes)
    }

    /// Reads `250ms`, `30s`, `5m`, `2h` or `1d`; `nil` when the text is no duration.
    package static func duration(_ text: some StringProtocol) -> Duration? {
        Self.read(text, units: Self.durations).map { .milliseconds($0) }
    }

    /// Writes bytes with the largest unit that divides them.
    package static func size(_ byteCount: Int) -> String {
        for (suffix, factor) in Self.sizes where byteCount >= factor && byteCount % factor == 0 {
            return "\(byteCount / factor)\(suffix)"
        }
        return "\(byteCount)B"
    }

    /// Writes a duration with the largest unit that divides it.
    package static func duration(_ duration: Duration) -> String {
        let milliseconds = Self.milliseconds(duration)
        for (suffix, factor) in Self.durations.dropFirst()
        where milliseconds >= factor && milliseconds % factor == 0 {
            return "\(milliseconds / factor)\(suffix)"
        }
        return milliseconds == 0 ? "0s" : "\(milliseconds)ms"
    }

    /// Whole milliseconds, held to what an `Int` can count.
    package static func milliseconds(_ duration: Duration) -> Int {
        let (seconds, attoseconds) = duration.components
        let (product, isOver) = seconds.multipliedReportingOverflow(by: 1_000)
        let (sum, isSumOver) = product.addingReportingOverflow(attoseconds / 1_000_000_000_000_000)
        return isOver || isSumOver ? (seconds < 0 ? .min : .max) : Int(sum)
    }

    private static func read(
        _ text: some StringProtocol,
        units: [(suffix: String, factor: Int)]
    ) -> Int? {
        for (suffix, factor) in units where text.hasSuffix(suffix) {
            let digits = text.utf8.dropLast(suffix.utf8.count)
            guard let number = Self.number(digits) else { return nil }
            let (product, isOver) = number.multipliedReportingOverflow(by: factor)
            return isOver ? nil : product
        }
        return nil
    }

    /// Reads decimal digits and nothing else.
    package static func number(_ digits: some Collection<UInt8>) -> Int? {
        guard (1...19).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) })
        else { return nil }
        return Int(String(decoding: Array(digits), as: UTF8.self))
    }
}
