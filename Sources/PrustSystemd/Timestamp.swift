package import PrustCore

/// Wall-clock time as text.
package enum Timestamp {
    /// RFC 3339 in UTC with milliseconds: `2026-01-31T23:59:59.999Z`.
    ///
    /// The calendar is the proleptic Gregorian one, by the algorithm of Hinnant ("chrono-compatible
    /// low-level date algorithms", `civil_from_days`), which counts years from March.
    package static func text(of time: WallTime) -> String {
        let (days, rest) = Self.floorDivide(time.milliseconds, by: 86_400_000)
        let shifted = days + 719_468
        let (era, dayOfEra) = Self.floorDivide(shifted, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let calendarMonth = month < 10 ? month + 3 : month - 9
        let year = yearOfEra + era * 400 + (calendarMonth <= 2 ? 1 : 0)
        let date = [Self.pad(year, 4), Self.pad(calendarMonth, 2), Self.pad(day, 2)]
        let clock = [
            Self.pad(rest / 3_600_000, 2), Self.pad(rest / 60_000 % 60, 2),
            Self.pad(rest / 1000 % 60, 2),
        ]
        let fraction = Self.pad(rest % 1000, 3)
        return "\(date.joined(separator: "-"))T\(clock.joined(separator: ":")).\(fraction)Z"
    }

    private static func floorDivide(_ value: Int64, by divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    private static func pad(_ value: Int64, _ width: Int) -> String {
        let digits = "\(abs(value))"
        let zeros = String(repeating: "0", count: max(width - digits.utf8.count, 0))
        return (value < 0 ? "-" : "") + zeros + digits
    }
}
