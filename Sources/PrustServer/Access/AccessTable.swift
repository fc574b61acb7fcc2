/// Users and roles as sessions use them: an immutable snapshot of one revision.
package final class AccessTable: Sendable {
    package let document: AccessDocument
    private let usersByName: [String: AccessDocument.User]
    private let rolesByName: [String: AccessDocument.Role]
    private let hashes: [String: PasswordHash]
    private let revokedSerials: Set<String>

    package init(_ document: AccessDocument) {
        self.document = document
        self.usersByName = Dictionary(
            document.users.map { ($0.name, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        self.rolesByName = Dictionary(
            (AccessDocument.Role.builtIn + document.roles).map { ($0.name, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        self.hashes = self.usersByName.compactMapValues { $0.password.flatMap(PasswordHash.init) }
        self.revokedSerials = Set(document.revoked.map { $0.serial.lowercased() })
    }

    /// Whether there is a user of this name, enabled or not.
    package func hasUser(_ name: String) -> Bool { self.usersByName[name] != nil }

    /// The user that a client certificate names.
    ///
    /// - Parameters:
    ///   - name: From the identity URI of a certificate that the handshake has verified.
    ///   - serial: Of the same certificate.
    /// - Returns: `nil` for a name that is unknown or disabled, or a revoked certificate.
    package func principal(certificateName name: String, serial: String) -> Principal? {
        guard !self.revokedSerials.contains(serial.lowercased()) else { return nil }
        return self.principal(name, method: .certificate)
    }

    /// The same user under this revision, for a session that came in under an older one.
    ///
    /// - Parameters:
    ///   - principal: Who the session was.
    ///   - serial: Of its client certificate, if it came in with one.
    /// - Returns: `nil` when the session must end.
    package func refreshed(_ principal: Principal, serial: String?) -> Principal? {
        let now: Principal?
        switch principal.method {
        case .certificate:
            now = self.principal(certificateName: principal.name, serial: serial ?? "")
        case .password: now = self.principal(principal.name, method: .password)
        case .socket: return principal
        }
        return now?.proof == principal.proof ? now : nil
    }

    func principal(_ name: String, method: AuthenticationMethod) -> Principal? {
        guard let user = self.usersByName[name], user.enabled else { return nil }
        if method == .password, self.hashes[name] == nil { return nil }
        let roles = user.roles.compactMap { self.rolesByName[$0] }
        let password = method == .password ? user.password ?? "" : ""
        return Principal(
            name: name,
            method: method,
            roles: roles,
            proof: "\(user.created) \(password)"
        )
    }

    func passwordHash(of name: String) -> PasswordHash? { self.hashes[name] }
}
