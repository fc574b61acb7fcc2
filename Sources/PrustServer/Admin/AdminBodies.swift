/// `POST /v1/users`.
package struct UserCreation: AdminBody, Encodable, Equatable, Sendable {
    package static let fields: Set = ["name", "roles", "password"]
    package var name: String
    package var roles: [String]
    package var password: String?

    package init(name: String, roles: [String], password: String?) {
        self.name = name
        self.roles = roles
        self.password = password
    }
}

/// `PUT /v1/users/NAME/password`.
package struct PasswordChange: AdminBody, Encodable, Equatable, Sendable {
    package static let fields: Set = ["password"]
    package var password: String

    package init(password: String) {
        self.password = password
    }
}

/// `PUT /v1/users/NAME/roles`.
package struct RolesChange: AdminBody, Encodable, Equatable, Sendable {
    package static let fields: Set = ["roles"]
    package var roles: [String]

    package init(roles: [String]) {
        self.roles = roles
    }
}

/// `POST /v1/roles`.
package struct RoleCreation: AdminBody, Encodable, Equatable, Sendable {
    package static let fields: Set = ["name", "verbs", "prefixes"]
    package var name: String
    package var verbs: [Verb]
    package var prefixes: [String]?

    package init(name: String, verbs: [Verb], prefixes: [String]?) {
        self.name = name
        self.verbs = verbs
        self.prefixes = prefixes
    }
}

/// `POST /v1/clients`.
package struct ClientCreation: AdminBody, Encodable, Equatable, Sendable {
    package static let fields: Set = ["name", "roles", "csr", "days"]
    package var name: String
    /// Roles of a user that does not exist yet; an existing one keeps its own.
    package var roles: [String]?
    /// PEM; without it the node makes the key too.
    package var csr: String?
    package var days: Int?

    package init(name: String, roles: [String]?, csr: String?, days: Int?) {
        self.name = name
        self.roles = roles
        self.csr = csr
        self.days = days
    }
}

/// A user as the admin API shows it.
package struct UserReport: Codable, Equatable, Sendable {
    package var name: String
    package var enabled: Bool
    package var roles: [String]
    package var hasPassword: Bool
    /// Client certificates that are valid and not revoked.
    package var certificates: Int
    /// Milliseconds since 1970.
    package var created: Int64

    init(_ user: AccessDocument.User) {
        self.name = user.name
        self.enabled = user.enabled
        self.roles = user.roles
        self.hasPassword = user.password != nil
        self.certificates = user.certificates.count
        self.created = user.created
    }
}

/// A role as the admin API shows it.
package struct RoleReport: Codable, Equatable, Sendable {
    package var name: String
    package var verbs: [Verb]
    package var prefixes: [String]
    package var builtIn: Bool

    init(_ role: AccessDocument.Role) {
        self.name = role.name
        self.verbs = role.verbs
        self.prefixes = role.prefixes
        self.builtIn = AccessDocument.Role.builtIn.contains { $0.name == role.name }
    }
}

/// A client certificate as the admin API shows it.
package struct ClientReport: Codable, Equatable, Sendable {
    package var name: String
    package var serial: String
    package var fingerprint: String
    /// Seconds since 1970.
    package var notAfter: Int64
}

/// The answer to `POST /v1/clients`: all that a client needs, as PEM.
package struct ClientCredentials: Codable, Equatable, Sendable {
    package var name: String
    package var certificate: String
    /// `nil` when the client made its own key.
    package var key: String?
    package var ca: String
    package var serial: String
    package var fingerprint: String
    /// Seconds since 1970.
    package var notAfter: Int64
}

/// The answer to `POST /v1/clients/NAME/revoke`.
package struct RevocationReport: Codable, Equatable, Sendable {
    package var name: String
    package var revoked: Int
}

/// One setting of `GET /v1/settings`.
package struct SettingReport: Codable, Equatable, Sendable {
    package var name: String
    package var value: String?
    package var defaultValue: String?
    /// Where it was set; `nil` for a default.
    package var origin: String?

    /// Every setting, in the order of the table.
    package static func all(_ loaded: Settings.Loaded) -> [SettingReport] {
        SettingTable.all.map { key in
            SettingReport(
                name: key.name,
                value: key.read(loaded.settings)?.description,
                defaultValue: key.defaultText,
                origin: loaded.origins[key.name]
            )
        }
    }
}
