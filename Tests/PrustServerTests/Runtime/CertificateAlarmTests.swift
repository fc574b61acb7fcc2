import PrustCore
import Testing

@testable import PrustServer

@Suite struct CertificateAlarmTests {
    private static let end: Int64 = 1_900_000_000
    private static let day: Int64 = 86_400
    private static let warning = CertificateAlarm.warningSeconds

    /// Looks at some times, in seconds before (or, if negative, after) the end.
    private static func alarms(_ left: [Int64]) -> [CertificateAlarm.Alarm?] {
        var alarm = CertificateAlarm()
        return left.map { left in
            alarm.due(
                notAfter: Self.end,
                now: WallTime(milliseconds: (Self.end - left) * 1_000)
            )
        }
    }

    static let table: [(name: String, left: [Int64], last: CertificateAlarm.Alarm?)] = [
        ("long before", [1_000 * day], nil),
        ("just not", [warning], nil),
        ("soon", [warning - 1], .expiresSoon),
        ("said already", [warning - 1, warning - 2, warning - day], nil),
        ("the next day", [warning - 1, warning - day - 1], .expiresSoon),
        ("the last second", [1], .expiresSoon),
        ("over", [0], .expired),
        ("over, soon was said just now", [1, 0], .expired),
        ("over, said already", [0, -1, -day + 1], nil),
        ("still over the next day", [0, -day], .expired),
        ("a clock that steps back a little", [warning - 10, warning - 5], nil),
        ("a clock that is set back", [10 * day, 20 * day], .expiresSoon),
        ("a clock that is set back to a good time", [0, 1_000 * day], nil),
    ]

    @Test(arguments: table)
    func alarm(name: String, left: [Int64], last: CertificateAlarm.Alarm?) {
        #expect(Self.alarms(left).last == last)
    }

    @Test func anotherCertificateIsSaidAnew() {
        var alarm = CertificateAlarm()
        let now = WallTime(milliseconds: Self.end * 1_000)
        #expect(alarm.due(notAfter: Self.end + 5, now: now) == .expiresSoon)
        #expect(alarm.due(notAfter: Self.end + 5, now: now) == nil)
        #expect(alarm.due(notAfter: Self.end + 6, now: now) == .expiresSoon)
        #expect(alarm.due(notAfter: Self.end + 6, now: now) == nil)
    }
}
