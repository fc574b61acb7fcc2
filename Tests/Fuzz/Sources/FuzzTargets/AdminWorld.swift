import Dispatch
import FoundationEssentials
import Glibc
import NIOConcurrencyHelpers
import NIOHTTP1
import PrustCore
import PrustServer

/// Runs asynchronous code to its end, for a caller that is not.
func blocking(_ body: @escaping @Sendable () async -> Void) {
    let done = DispatchSemaphore(value: 0)
    Task {
        await body()
        done.signal()
    }
    done.wait()
}

/// The same as ``succeed(_:file:line:_:)`` for asynchronous code.
func succeed(_ what: String, _ body: () async throws -> Void) async {
    do {
        try await body()
    } catch {
        check(false, "\(what): \(error)")
    }
}

/// A node with users, roles and a CA, as far as the admin API sees one.
struct AdminWorld: Sendable {
    let router: AdminRouter
    let peer: AdminPeer
    private let audit: AuditMemory
    private let before: AccessDocument

    static let now = WallTime(milliseconds: 1_767_225_600_000)

    /// A data directory under `$TMPDIR`, and the users that every input begins with.
    private static let founded: (directory: DataDirectory, document: AccessDocument) = {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/prustdb-fuzz-XXXXXX".utf8CString)
        check(mkdtemp(&template) != nil, "mkdtemp in \(parent)")
        let path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) },
            as: UTF8.self
        )
        return succeed("founding a cluster in \(path)") {
            let endpoint = Endpoint(host: "127.0.0.1", port: 8000)
            _ = try Founding.found(
                FoundingPlan(
                    dataDirectory: path + "/data",
                    clientDirectory: nil,
                    listen: endpoint,
                    advertise: endpoint,
                    hostName: ""
                ),
                now: Self.now
            )
            let directory = DataDirectory(path + "/data")
            var document = AccessDocument()
            let name = "admin"
            try document.createUser(name: name, roles: [name], password: nil, now: Self.now)
            try document.createRole(.init(name: "ops", verbs: [.read], prefixes: ["app:"]))
            try document.createUser(name: "reader", roles: ["ops"], password: nil, now: Self.now)
            return (directory, document)
        }
    }()

    /// A world in its first state.
    static func make(isAdmin: Bool) async -> AdminWorld {
        let file = AccessFile(path: Self.founded.directory.access)
        let audit = AuditMemory()
        let access = succeed("writing users and roles") {
            try file.save(Self.founded.document)
            return try AccessStore(file: file)
        }
        let router = AdminRouter(
            backend: StillBackend(),
            access: access,
            issuer: ClientIssuer(dataDirectory: Self.founded.directory.path),
            audit: audit,
            now: { Self.now }
        )
        let name = isAdmin ? "admin" : "reader"
        let principal = access.snapshot.table.principal(certificateName: name, serial: "00")
        return AdminWorld(
            router: router,
            peer: AdminPeer(
                principal: principal ?? Principal.socket(name: "nobody"),
                from: "127.0.0.1:1"
            ),
            audit: audit,
            before: Self.founded.document
        )
    }

    // MARK: Without HTTP

    /// `METHOD PATH`, a newline, and the body.
    static func request(_ bytes: [UInt8]) -> AdminRequest {
        let parts = bytes.split(separator: 0x0A, maxSplits: 1, omittingEmptySubsequences: false)
        let line = parts[0].split(separator: 0x20, maxSplits: 1, omittingEmptySubsequences: false)
        return AdminRequest(
            method: String(decoding: line[0], as: UTF8.self),
            path: line.count > 1 ? String(decoding: line[1], as: UTF8.self) : "/",
            body: parts.count > 1 ? Array(parts[1]) : []
        )
    }

    func ask(_ request: AdminRequest) async {
        let response = await self.router.handle(request, from: self.peer)
        self.checkAnswer(response.status, response.body)
        check(response.status != 405 || !response.allow.isEmpty, "405 without Allow")
    }

    // MARK: Checks

    func checkExchange(_ exchange: Exchange) {
        check(exchange.isEnded, "half an answer")
        // NIO itself answers what is no HTTP.
        guard let length = exchange.head.headers.first(name: "content-length"),
            let head = exchange.request
        else { return }
        let status = Int(exchange.head.status.code)
        guard head.method != .HEAD else {
            return check(exchange.body.isEmpty, "an answer to HEAD with a body")
        }
        guard exchange.head.headers.contains(name: "cache-control") else { return }
        check(length == "\(exchange.body.count)", "a length of \(length)")
        self.checkAnswer(status, exchange.body)
    }

    private func checkAnswer(_ status: Int, _ body: [UInt8]) {
        let text = String(decoding: body, as: UTF8.self)
        check((200..<600).contains(status), "status \(status)")
        check(body.last == 0x0A, "an answer without a newline at its end: \(text)")
        check(
            AdminJSON.decodeAnswer(AnyJSON.self, from: body) != nil,
            "no JSON: \(text)"
        )
        guard status >= 400 else {
            return check(self.peer.principal.isAdmin, "\(status) for no admin: \(text)")
        }
        guard let error = AdminJSON.decodeAnswer(AdminErrorBody.self, from: body)?.error else {
            return check(false, "status \(status) without an error: \(text)")
        }
        check(!error.code.isEmpty && !error.message.isEmpty, "no words: \(text)")
        checkIsOneLine(error.message)
        check(status != 500, "an error of ours: \(text)")
    }

    func checkAfterwards() async {
        let table = self.router.access.snapshot.table.document
        let stored = succeed("reading users and roles") {
            try AccessFile(path: Self.founded.directory.access).load()
        }
        check(stored == table, "on disk \(stored), in memory \(table)")
        let isAdministered = table.users.contains { user in
            user.enabled
                && user.roles.contains { table.role($0)?.verbs.contains(.admin) == true }
        }
        check(isAdministered, "nobody can administer the node any more")
        let events = self.audit.events
        if table != self.before {
            check(self.peer.principal.isAdmin, "changed by somebody without the verb")
            check(events.contains { $0.outcome == .done }, "a change without a trail")
        }
        for event in events {
            check(event.who == self.peer.principal.name, "\(event.who) in the trail")
        }
    }
}

/// Accepts any JSON.
private struct AnyJSON: Decodable {
    init(from decoder: any Decoder) throws {}
}

private final class AuditMemory: AuditSink {
    private let memory = NIOLockedValueBox<[AuditEvent]>([])

    var events: [AuditEvent] { self.memory.withLockedValue { $0 } }

    func record(_ event: AuditEvent) {
        self.memory.withLockedValue { $0.append(event) }
    }
}

/// A node at rest.
private struct StillBackend: AdminBackend {
    func status() async -> StatusReport {
        StatusReport(
            version: "0",
            state: .serving,
            nodeID: "00",
            storageID: "00",
            clusterID: "00",
            listen: "127.0.0.1:8000",
            advertise: "127.0.0.1:8000",
            uptimeSeconds: 1,
            connections: 1,
            storage: .init(keys: 0, segments: 1, bytes: 4096, freeBytes: nil, durableSequence: 0),
            replication: .init(nodes: 1, factor: 3),
            recovery: nil,
            certificateNotAfter: 0
        )
    }

    func limits() async -> [LimitReport] { [] }

    func settings() async -> Settings.Loaded {
        Settings.Loaded(settings: .defaults, origins: [:])
    }

    func reload() async throws(AdminFault) -> ReloadReport {
        throw AdminFault(status: 409, code: "not-now", message: "nothing is read again here")
    }

    func doctor() async -> [DoctorFinding] { [] }
}
