import NIOPosix
package import PrustCore

/// Answers requests of the admin API: decides who may, finds the endpoint, writes the audit trail.
package struct AdminRouter: Sendable {
    package let backend: any AdminBackend
    package let access: AccessStore
    package let issuer: ClientIssuer
    package let audit: any AuditSink
    private let now: @Sendable () -> WallTime

    package init(
        backend: any AdminBackend,
        access: AccessStore,
        issuer: ClientIssuer,
        audit: any AuditSink,
        now: @escaping @Sendable () -> WallTime
    ) {
        self.backend = backend
        self.access = access
        self.issuer = issuer
        self.audit = audit
        self.now = now
    }

    /// What a request asks for, and about what.
    struct Route: Equatable {
        enum Action: String {
            case status = "status"
            case limits = "limits"
            case settings = "settings"
            case doctor = "doctor"
            case reload = "reload"
            case userList = "user.list"
            case userCreate = "user.create"
            case userShow = "user.show"
            case userDelete = "user.delete"
            case userPassword = "user.password"
            case userRoles = "user.grant"
            case userEnable = "user.enable"
            case userDisable = "user.disable"
            case roleList = "role.list"
            case roleCreate = "role.create"
            case roleDelete = "role.delete"
            case clientList = "client.list"
            case clientCreate = "client.create"
            case clientRevoke = "client.revoke"
        }

        var action: Action
        var target: String?

        /// Whether the action changes something, so that it goes to the audit trail.
        var isChange: Bool {
            switch self.action {
            case .status, .limits, .settings, .doctor, .userList, .userShow, .roleList, .clientList:
                false
            case .reload, .userCreate, .userDelete, .userPassword, .userRoles, .userEnable,
                .userDisable, .roleCreate, .roleDelete, .clientCreate, .clientRevoke:
                true
            }
        }
    }

    /// Method and path (`*` is a name) of every endpoint.
    static let routes: [(method: String, path: [String], action: Route.Action)] = [
        ("GET", ["v1", "status"], .status),
        ("GET", ["v1", "limits"], .limits),
        ("GET", ["v1", "settings"], .settings),
        ("GET", ["v1", "doctor"], .doctor),
        ("POST", ["v1", "reload"], .reload),
        ("GET", ["v1", "users"], .userList),
        ("POST", ["v1", "users"], .userCreate),
        ("GET", ["v1", "users", "*"], .userShow),
        ("DELETE", ["v1", "users", "*"], .userDelete),
        ("PUT", ["v1", "users", "*", "password"], .userPassword),
        ("PUT", ["v1", "users", "*", "roles"], .userRoles),
        ("POST", ["v1", "users", "*", "enable"], .userEnable),
        ("POST", ["v1", "users", "*", "disable"], .userDisable),
        ("GET", ["v1", "roles"], .roleList),
        ("POST", ["v1", "roles"], .roleCreate),
        ("DELETE", ["v1", "roles", "*"], .roleDelete),
        ("GET", ["v1", "clients"], .clientList),
        ("POST", ["v1", "clients"], .clientCreate),
        ("POST", ["v1", "clients", "*", "revoke"], .clientRevoke),
    ]

    static func route(method: String, path: String) throws(AdminFault) -> Route {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        let matching = path.hasPrefix("/") ? Self.routes.filter { Self.match($0.path, parts) } : []
        guard !matching.isEmpty else {
            throw AdminFault(status: 404, code: "no-such-path", message: "there is no such path")
        }
        guard let found = matching.first(where: { $0.method == method }) else {
            let allow = matching.map(\.method)
            throw AdminFault(
                status: 405,
                code: "no-such-method",
                message: "this path has \(allow.joined(separator: ", "))",
                allow: allow
            )
        }
        let target = zip(found.path, parts).first { $0.0 == "*" }.map { String($0.1) }
        return Route(action: found.action, target: target)
    }

    private static func match(_ pattern: [String], _ parts: ArraySlice<Substring>) -> Bool {
        pattern.count == parts.count
            && zip(pattern, parts).allSatisfy { pattern, part in
                pattern == "*" ? AccessDocument.isValidName(String(part)) : pattern == part
            }
    }

    /// Answers one request.
    package func handle(_ request: AdminRequest, from peer: AdminPeer) async -> AdminResponse {
        let route: Route
        do {
            route = try Self.route(method: request.method, path: request.path)
        } catch {
            return AdminResponse(error)
        }
        if let fault = self.refusal(route, peer) { return AdminResponse(fault) }
        guard request.body.count <= Limits.adminBodyByteCountMax else {
            return AdminResponse(.bodyTooLarge)
        }
        // The target of a creation stands in the body; it is known only once that was read.
        var target = route.target
        do {
            let response = try await self.run(route, request, target: &target)
            if route.isChange { self.record(route, target: target, peer, .done, reason: nil) }
            return response
        } catch {
            let outcome = error.status == 403 ? AuditEvent.Outcome.denied : .failed
            if route.isChange {
                self.record(route, target: target, peer, outcome, reason: error.code)
            }
            return AdminResponse(error)
        }
    }

    /// Why a peer may not, by the users and roles of this moment: its connection may be old.
    private func refusal(_ route: Route, _ peer: AdminPeer) -> AdminFault? {
        let table = self.access.snapshot.table
        let now = table.refreshed(peer.principal, serial: peer.serial)
        guard now?.isAdmin != true else { return nil }
        let reason = now == nil ? "no-access" : "no-admin"
        self.record(route, target: route.target, peer, .denied, reason: reason)
        let name = peer.principal.name
        return AdminFault(
            status: 403,
            code: "not-allowed",
            message: now == nil
                ? "user \(name) is disabled or gone, or the certificate is revoked"
                : "user \(name) has no role with the verb admin"
        )
    }

    private func record(
        _ route: Route,
        target: String?,
        _ peer: AdminPeer,
        _ outcome: AuditEvent.Outcome,
        reason: String?
    ) {
        self.audit.record(
            AuditEvent(
                who: peer.principal.name,
                method: peer.principal.method,
                from: peer.from,
                action: route.action.rawValue,
                target: target,
                outcome: outcome,
                reason: reason
            )
        )
    }

    private func run(
        _ route: Route,
        _ request: AdminRequest,
        target: inout String?
    ) async throws(AdminFault) -> AdminResponse {
        switch route.action {
        case .status: return Self.answer(await self.backend.status())
        case .limits: return Self.answer(await self.backend.limits() + LimitReport.fixed)
        case .settings: return Self.answer(SettingReport.all(await self.backend.settings()))
        case .doctor: return Self.answer(await self.backend.doctor())
        case .reload: return Self.answer(try await self.backend.reload())
        case .userList: return Self.answer(self.access.users.map { UserReport($0) })
        case .roleList: return Self.answer(self.access.roles.map { RoleReport($0) })
        case .clientList: return Self.answer(self.clients())
        case .roleCreate, .roleDelete:
            return try await self.changeRole(route, request, target: &target)
        case .clientCreate, .clientRevoke:
            return try await self.changeClient(route, request, target: &target)
        case .userCreate, .userShow, .userDelete, .userPassword, .userRoles, .userEnable,
            .userDisable:
            return try await self.changeUser(route, request, target: &target)
        }
    }

    // MARK: Users

    private func changeUser(
        _ route: Route,
        _ request: AdminRequest,
        target: inout String?
    ) async throws(AdminFault) -> AdminResponse {
        let name = route.target ?? ""
        switch route.action {
        case .userCreate:
            return try await self.createUser(request, target: &target)
        case .userDelete:
            try await self.change { (document) throws(AccessError) in
                try document.deleteUser(name)
            }
            return Self.answer(DeletionReport(name: name))
        case .userPassword:
            let body = try AdminJSON.decode(PasswordChange.self, from: request.body)
            guard self.access.users.contains(where: { $0.name == name }) else {
                throw AdminFault(AccessError(.notFound, "there is no user \(name)"))
            }
            let hash = try await Self.hash(body.password)
            try await self.change { (document) throws(AccessError) in
                try document.setPassword(of: name, to: hash)
            }
        case .userRoles:
            let body = try AdminJSON.decode(RolesChange.self, from: request.body)
            try await self.change { (document) throws(AccessError) in
                try document.setRoles(of: name, to: body.roles)
            }
        case .userEnable, .userDisable:
            let isEnabled = route.action == .userEnable
            try await self.change { (document) throws(AccessError) in
                try document.setEnabled(isEnabled, user: name)
            }
        default:
            break
        }
        return try self.showUser(name, status: 200)
    }

    private func createUser(
        _ request: AdminRequest,
        target: inout String?
    ) async throws(AdminFault) -> AdminResponse {
        let body = try AdminJSON.decode(UserCreation.self, from: request.body)
        target = body.name
        var hash: PasswordHash?
        if let password = body.password { hash = try await Self.hash(password) }
        let now = self.now()
        let password = hash
        try await self.change { (document) throws(AccessError) in
            try document.createUser(
                name: body.name,
                roles: body.roles,
                password: password,
                now: now
            )
        }
        return try self.showUser(body.name, status: 201)
    }

    private func showUser(_ name: String, status: Int) throws(AdminFault) -> AdminResponse {
        guard let user = self.access.users.first(where: { $0.name == name }) else {
            throw AdminFault(AccessError(.notFound, "there is no user \(name)"))
        }
        return Self.answer(UserReport(user), status: status)
    }

    /// Hashes on a thread of the pool: it takes longer than an executor may be held up.
    private static func hash(_ password: String) async throws(AdminFault) -> PasswordHash {
        do {
            return try await NIOThreadPool.singleton.runIfActive {
                try PasswordHash(password: Array(password.utf8))
            }
        } catch let error as AccessError {
            throw AdminFault(error)
        } catch {
            throw AdminFault(status: 503, code: "stopping", message: "the node is stopping")
        }
    }

    private func change<Result: Sendable>(
        _ body: @Sendable (inout AccessDocument) throws(AccessError) -> Result
    ) async throws(AdminFault) -> Result {
        do {
            return try await self.access.change(body)
        } catch {
            throw AdminFault(error)
        }
    }

    // MARK: Roles

    private func changeRole(
        _ route: Route,
        _ request: AdminRequest,
        target: inout String?
    ) async throws(AdminFault) -> AdminResponse {
        if route.action == .roleDelete {
            let name = route.target ?? ""
            try await self.change { (document) throws(AccessError) in
                try document.deleteRole(name)
            }
            return Self.answer(DeletionReport(name: name))
        }
        let body = try AdminJSON.decode(RoleCreation.self, from: request.body)
        target = body.name
        let role = AccessDocument.Role(
            name: body.name,
            verbs: body.verbs,
            prefixes: body.prefixes ?? []
        )
        try await self.change { (document) throws(AccessError) in try document.createRole(role) }
        return Self.answer(RoleReport(role), status: 201)
    }

    // MARK: Clients

    private func clients() -> [ClientReport] {
        self.access.users.flatMap { user in
            user.certificates.map { certificate in
                ClientReport(
                    name: user.name,
                    serial: certificate.serial,
                    fingerprint: certificate.fingerprint,
                    notAfter: certificate.notAfter
                )
            }
        }
    }

    private func changeClient(
        _ route: Route,
        _ request: AdminRequest,
        target: inout String?
    ) async throws(AdminFault) -> AdminResponse {
        if route.action == .clientRevoke {
            let name = route.target ?? ""
            let count = try await self.change { (document) throws(AccessError) in
                try document.revokeCertificates(of: name)
            }
            return Self.answer(RevocationReport(name: name, revoked: count))
        }
        let body = try AdminJSON.decode(ClientCreation.self, from: request.body)
        target = body.name
        let now = self.now()
        let credentials = try await self.issue(body, now: now)
        let issued = AccessDocument.IssuedCertificate(
            serial: credentials.serial,
            fingerprint: credentials.fingerprint,
            notAfter: credentials.notAfter
        )
        try await self.change { (document) throws(AccessError) in
            if document.user(body.name) == nil {
                guard let roles = body.roles else {
                    throw AccessError(.invalid, "roles: expected those of the new user")
                }
                try document.createUser(name: body.name, roles: roles, password: nil, now: now)
            } else if body.roles != nil {
                throw AccessError(
                    .exists,
                    "user \(body.name) exists: leave out the roles, or change them with "
                        + "`prustadm user grant`"
                )
            }
            try document.addCertificate(issued, to: body.name, now: now)
        }
        return Self.answer(credentials, status: 201)
    }

    private func issue(
        _ body: ClientCreation,
        now: WallTime
    ) async throws(AdminFault) -> ClientCredentials {
        let issuer = self.issuer
        do {
            return try await NIOThreadPool.singleton.runIfActive {
                try issuer.issue(
                    name: body.name,
                    request: body.csr.map { Array($0.utf8) },
                    days: body.days ?? ClientIssuer.daysDefault,
                    now: now
                )
            }
        } catch let error as AccessError {
            throw AdminFault(error)
        } catch {
            throw AdminFault(status: 503, code: "stopping", message: "the node is stopping")
        }
    }

    private static func answer(_ value: some Encodable, status: Int = 200) -> AdminResponse {
        AdminResponse(status: status, body: AdminJSON.encode(value))
    }
}

/// The answer to a deletion.
package struct DeletionReport: Codable, Equatable, Sendable {
    package var name: String
}

extension AdminFault {
    /// The body is above the bound.
    package static let bodyTooLarge = AdminFault(
        status: 413,
        code: "body-too-large",
        message: "the body is larger than \(Limits.adminBodyByteCountMax) bytes"
    )
}
