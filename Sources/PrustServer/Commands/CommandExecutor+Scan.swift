import PrustCore
import PrustWire

/// Commands that walk over the whole key space: they run on a disk thread.
extension CommandExecutor {
    /// Keys that one step may visit, whatever COUNT says.
    private static let countMax: Int64 = 100_000

    func scan(_ arguments: RequestArguments) -> Disposition {
        guard let cursor = Self.cursor(arguments[1]) else {
            return self.fail("ERR invalid cursor")
        }
        var request = ScanRequest(
            cursor: cursor,
            count: 10,
            pattern: nil,
            matchesType: true,
            wall: self.wall
        )
        var index = 2
        while index < arguments.count {
            let option = arguments[index]
            guard index + 1 < arguments.count else { return self.syntaxError() }
            let next = arguments[index + 1]
            if option.equals("count") {
                guard let count = DecimalInteger.parse(next) else { return self.notAnInteger() }
                guard count >= 1 else { return self.syntaxError() }
                request.count = Int(min(count, Self.countMax))
            } else if option.equals("match") {
                guard next.count <= Limits.keyByteCountMax else {
                    return self.fail(
                        "ERR the pattern exceeds the limit key-bytes (\(Limits.keyByteCountMax))"
                    )
                }
                request.pattern = next.equals("*") ? nil : Array(next)
            } else if option.equals("type") {
                request.matchesType = next.equals("string")
            } else {
                return self.syntaxError()
            }
            index += 2
        }
        self.deferred = .scan(request)
        return .deferred
    }

    func dbsize() -> Disposition {
        self.deferred = .databaseSize
        return .deferred
    }

    /// Reads an unsigned number of at most 64 bits as Redis does with `strtoul`, which takes a sign
    /// and no digits at all as well.
    private static func cursor(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
        guard bytes.count <= 4_096 else { return nil }
        let isNegative = bytes.first == UInt8(ascii: "-")
        let hasSign = isNegative || bytes.first == UInt8(ascii: "+")
        if hasSign, bytes.count == 1 { return nil }
        guard let value = Self.digits(bytes.dropFirst(hasSign ? 1 : 0)) else { return nil }
        return isNegative ? 0 &- value : value
    }

    private static func digits(_ bytes: Slice<UnsafeRawBufferPointer>) -> UInt64? {
        var value: UInt64 = 0
        for byte in bytes {
            guard (48...57).contains(byte) else { return nil }
            let (scaled, didOverflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, didCarry) = scaled.addingReportingOverflow(UInt64(byte - 48))
            guard !didOverflow, !didCarry else { return nil }
            value = sum
        }
        return value
    }
}
