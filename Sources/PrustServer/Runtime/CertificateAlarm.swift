import PrustCore

/// Decides when it is said that a certificate ends soon or has ended: once a day while it lasts.
///
/// Pure: reads no clock. A renewed certificate is another one, of which it is said anew.
struct CertificateAlarm: Sendable {
    enum Alarm: Equatable, Sendable {
        case expiresSoon
        case expired
    }

    private struct Raised: Equatable {
        let alarm: Alarm
        let notAfter: Int64
    }

    /// As in `prustadm doctor`.
    static let warningSeconds = Doctor.certificateWarningDays * 86_400
    private static let repeatSeconds: Int64 = 86_400

    private var raised: Raised?
    /// Seconds since 1970.
    private var raisedAt: Int64 = 0

    /// Looks at the certificate, at any time and as often as one likes.
    ///
    /// - Parameters:
    ///   - notAfter: Its end, in seconds since 1970.
    ///   - now: Wall time; it may also be set back.
    /// - Returns: What is to be said now, or `nil` when nothing is or it was said within a day.
    mutating func due(notAfter: Int64, now: WallTime) -> Alarm? {
        let seconds = now.milliseconds / 1_000
        guard notAfter - seconds < Self.warningSeconds else { return nil }
        let alarm = seconds < notAfter ? Alarm.expiresSoon : .expired
        let raised = Raised(alarm: alarm, notAfter: notAfter)
        if raised == self.raised, abs(seconds - self.raisedAt) < Self.repeatSeconds { return nil }
        self.raised = raised
        self.raisedAt = seconds
        return alarm
    }
}
