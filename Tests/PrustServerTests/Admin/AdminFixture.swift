import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import PrustCore
import PrustTLS
import Testing

@testable import PrustServer

/// A backend that answers at once and counts reloads.
struct FakeBackend: AdminBackend {
    var reloadFault: AdminFault?

    func status() async -> StatusReport {
        StatusReport(
            version: "1.2.3",
            state: .serving,
            nodeID: "aa",
            storageID: "bb",
            clusterID: "cc",
            listen: "127.0.0.1:8000",
            advertise: "db1:8000",
            uptimeSeconds: 5,
            connections: 2,
            storage: .init(keys: 3, segments: 1, bytes: 4_096, freeBytes: 9, durableSequence: 7),
            replication: .init(nodes: 1, factor: 3),
            recovery: nil,
            certificateNotAfter: 1_900_000_000
        )
    }

    func limits() async -> [LimitReport] {
        [
            LimitReport(
                name: "connections",
                value: 20_000,
                unit: .count,
                used: 2,
                setting: "limits.connections"
            )
        ]
    }

    func settings() async -> Settings.Loaded {
        Settings.Loaded(settings: .defaults, origins: ["listen": "p.yaml:1"])
    }

    func reload() async throws(AdminFault) -> ReloadReport {
        if let fault = self.reloadFault { throw fault }
        return ReloadReport(changes: [], certificateChanged: true, certificateNotAfter: 1)
    }

    func doctor() async -> [DoctorFinding] {
        [DoctorFinding(check: "index", status: .ok, message: "in order")]
    }
}

/// Keeps the audit trail for a test to look at.
final class RecordingAudit: AuditSink {
    private let events = NIOLockedValueBox<[AuditEvent]>([])

    func record(_ event: AuditEvent) { self.events.withLockedValue { $0.append(event) } }

    /// What was recorded since the last call.
    func take() -> [AuditEvent] {
        self.events.withLockedValue { events in
            defer { events = [] }
            return events
        }
    }
}

/// A founded directory with a router over it.
struct AdminFixture {
    static let now = WallTime(milliseconds: MachineClock.now().milliseconds)

    let directory: String
    let router: AdminRouter
    let audit = RecordingAudit()
    let store: AccessStore

    init(_ directory: String, backend: FakeBackend = FakeBackend()) throws {
        let plan = FoundingPlan(
            dataDirectory: directory + "/node",
            clientDirectory: directory + "/client",
            listen: Endpoint(host: "127.0.0.1", port: 8_000),
            advertise: Endpoint(host: "127.0.0.1", port: 8_000)
        )
        _ = try Founding.found(plan, now: Self.now)
        self.directory = directory + "/node"
        self.store = try AccessStore(
            file: AccessFile(path: DataDirectory(self.directory).access)
        )
        self.router = AdminRouter(
            backend: backend,
            access: self.store,
            issuer: ClientIssuer(dataDirectory: self.directory),
            audit: self.audit,
            now: { Self.now }
        )
    }

    static let root = AdminPeer(principal: .socket(name: "uid=0"), from: "unix")

    /// Somebody who has connected with a certificate of a new user.
    func peer(_ name: String, role: String) async throws -> AdminPeer {
        try await self.store.change { (document) throws(AccessError) in
            try document.createUser(name: name, roles: [role], password: nil, now: Self.now)
            let certificate = AccessDocument.IssuedCertificate(
                serial: "0a",
                fingerprint: String(repeating: "0", count: 64),
                notAfter: Self.now.milliseconds / 1_000 + 1_000
            )
            try document.addCertificate(certificate, to: name, now: Self.now)
        }
        let principal = self.store.snapshot.table.principal(certificateName: name, serial: "0a")
        return AdminPeer(
            principal: try #require(principal),
            serial: "0a",
            from: "10.0.0.1:5"
        )
    }

    func send(
        _ method: String,
        _ path: String,
        _ body: String = "",
        from peer: AdminPeer = Self.root
    ) async -> (status: Int, text: String) {
        let request = AdminRequest(method: method, path: path, body: Array(body.utf8))
        let response = await self.router.handle(request, from: peer)
        return (response.status, String(decoding: response.body, as: UTF8.self))
    }
}
