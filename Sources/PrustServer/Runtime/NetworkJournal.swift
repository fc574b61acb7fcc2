import Logging
import PrustCore
import PrustSystemd
import PrustTLS
import Synchronization

/// Tells the journal of clients that were turned away and of certificates that end.
///
/// Anyone can be turned away at any rate: of equal cases the first ones of a minute are written,
/// then one entry says how many more there were.
final class NetworkJournal: Sendable {
    /// Entries a minute for handshakes that fail for one reason from one network.
    static let handshakeBurstCountMax = 3
    /// Networks and reasons that are told apart at one time.
    static let kindCountMax = 64
    static let kindPerNetworkCountMax = 8
    private static let various = "various"

    /// Certificates without which nobody can connect.
    enum CertificateFile: Hashable, Sendable {
        case node
        case authorities
    }

    private struct State {
        var rejections = RepeatFilter<ConnectionMetrics.Rejection>(
            burstCountMax: 1,
            kindCountMax: NetworkJournal.kindCountMax,
            kindPerSourceCountMax: NetworkJournal.kindPerNetworkCountMax
        )
        var handshakes = RepeatFilter<TLSError.Code>(
            burstCountMax: NetworkJournal.handshakeBurstCountMax,
            kindCountMax: NetworkJournal.kindCountMax,
            kindPerSourceCountMax: NetworkJournal.kindPerNetworkCountMax
        )
        var alarms: [CertificateFile: CertificateAlarm] = [:]
    }

    private let logger: Logger
    private let now: @Sendable () -> MonotonicInstant
    private let state = Mutex(State())

    init(
        logger: Logger,
        now: @escaping @Sendable () -> MonotonicInstant = { Clocks.monotonic() }
    ) {
        self.logger = logger
        self.now = now
    }

    /// A connection was closed because a limit of clients is reached.
    func rejected(_ rejection: ConnectionMetrics.Rejection, from address: String) {
        guard let setting = rejection.setting else { return }
        // Whoever reaches a limit of all clients, it is reached by all of them.
        let source = rejection == .perAddress ? NetworkName.of(address) : Self.various
        let now = self.now()
        let isWritten = self.state.withLock {
            $0.rejections.isWritten(rejection, from: source, now: now)
        }
        guard isWritten else { return }
        self.logger.event(
            .connectionLimitReached,
            metadata: ["limit": "\(setting)", "peer": "\(address)"]
        )
    }

    /// The TLS handshake of a client has failed.
    func handshakeFailed(_ error: TLSError, from address: String) {
        let source = NetworkName.of(address)
        let now = self.now()
        let isWritten = self.state.withLock {
            $0.handshakes.isWritten(error.code, from: source, now: now)
        }
        guard isWritten else { return }
        self.logger.event(
            .handshakesFailed,
            metadata: [
                "error-code": "\(error.code.rawValue)", "reason": "\(error.message)",
                "peer": "\(address)",
            ]
        )
    }

    /// Looks at the ends of the certificates in use; to be called regularly.
    func checkCertificates(_ material: TLSMaterial, _ files: Settings.TLS, now: WallTime) {
        if let notAfter = material.chain.map(\.notAfter).min() {
            self.check(.node, path: files.certificate, notAfter: notAfter, now: now)
        }
        // During a rotation the old CA may run out while the new one is there.
        if let notAfter = material.authorities.map(\.notAfter).max() {
            self.check(.authorities, path: files.authority, notAfter: notAfter, now: now)
        }
    }

    /// Looks at the end of one certificate, in seconds since 1970.
    func check(_ file: CertificateFile, path: String, notAfter: Int64, now: WallTime) {
        let alarm = self.state.withLock {
            $0.alarms[file, default: CertificateAlarm()].due(notAfter: notAfter, now: now)
        }
        let event: JournalEvent
        switch alarm {
        case .expiresSoon: event = .certificateExpiresSoon
        case .expired: event = .certificateExpired
        case nil: return
        }
        let end = Timestamp.text(of: WallTime(milliseconds: notAfter * 1_000))
        self.logger.event(event, metadata: ["file": "\(path)", "not-after": "\(end)"])
    }

    /// Writes how often cases were repeated in the minutes that are over; to be called regularly.
    func summarize(all: Bool = false) {
        let now = self.now()
        let rejections = self.state.withLock { $0.rejections.takeRepeated(now: now, all: all) }
        let handshakes = self.state.withLock { $0.handshakes.takeRepeated(now: now, all: all) }
        for (group, count) in rejections {
            self.write(.connectionLimitReached, group, "limit", count) { $0.setting }
        }
        for (group, count) in handshakes {
            self.write(.handshakesFailed, group, "error-code", count) { $0.rawValue }
        }
    }

    private func write<Kind: Hashable & Sendable>(
        _ event: JournalEvent,
        _ group: RepeatFilter<Kind>.Group,
        _ key: String,
        _ count: Int,
        name: (Kind) -> String?
    ) {
        var kindName = Self.various
        var peer = Self.various
        switch group {
        case .kind(let kind, let source):
            kindName = name(kind) ?? Self.various
            peer = source
        case .source(let source):
            peer = source
        case .rest:
            break
        }
        self.logger.event(
            event,
            metadata: [key: "\(kindName)", "peer": "\(peer)", "repeated": "\(count)"]
        )
    }
}
