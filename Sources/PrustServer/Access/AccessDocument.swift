package import PrustCore

/// Users and roles as they are stored; every change is checked here.
///
/// Pure: no file, no clock. A change that is refused leaves the document as it was.
package struct AccessDocument: Codable, Equatable, Sendable {
    package struct User: Codable, Equatable, Sendable {
        package var name: String
        package var enabled: Bool
        package var roles: [String]
        /// ``PasswordHash`` as text; `nil` when only a certificate lets the user in.
        package var password: String?
        /// Milliseconds since 1970.
        package var created: Int64
        /// Client certificates that this cluster has signed for the user.
        package var certificates: [IssuedCertificate]
    }

    package struct IssuedCertificate: Codable, Equatable, Sendable {
        package var serial: String
        /// SHA-256 in hexadecimal digits.
        package var fingerprint: String
        /// Seconds since 1970.
        package var notAfter: Int64

        package init(serial: String, fingerprint: String, notAfter: Int64) {
            self.serial = serial
            self.fingerprint = fingerprint
            self.notAfter = notAfter
        }
    }

    package struct Role: Codable, Equatable, Sendable {
        package var name: String
        package var verbs: [Verb]
        /// Beginnings of the keys that `read` and `write` are for; empty is all keys.
        package var prefixes: [String]

        package init(name: String, verbs: [Verb], prefixes: [String]) {
            self.name = name
            self.verbs = verbs
            self.prefixes = prefixes
        }

        package static let administrator = Self(name: "admin", verbs: Verb.allCases, prefixes: [])
        package static let readWrite = Self(
            name: "readwrite",
            verbs: [.read, .write],
            prefixes: []
        )
        package static let readOnly = Self(name: "readonly", verbs: [.read], prefixes: [])
        /// Roles that every cluster has and nobody can change.
        package static let builtIn = [Self.administrator, Self.readWrite, Self.readOnly]
    }

    /// A certificate whose user was deleted or whose access was taken back.
    package struct Revocation: Codable, Equatable, Sendable {
        package var serial: String
        /// Seconds since 1970: afterwards the certificate is refused for its age.
        package var until: Int64
    }

    package static let formatCurrent = 1
    package static let rolesPerUserMax = 16
    package static let certificatesPerUserMax = 64
    package static let revocationCountMax = 100_000
    package static let serialByteCountMax = 64

    private(set) package var format = Self.formatCurrent
    /// Grows by one with every change.
    private(set) package var revision: UInt64 = 0
    private(set) package var users: [User] = []
    private(set) package var roles: [Role] = []
    private(set) package var revoked: [Revocation] = []

    package init() {}

    package func user(_ name: String) -> User? { self.users.first { $0.name == name } }

    package func role(_ name: String) -> Role? {
        Role.builtIn.first { $0.name == name } ?? self.roles.first { $0.name == name }
    }

    /// Names of users, roles and clients: as in a certificate's identity.
    package static func isValidName(_ name: String) -> Bool {
        (1...Limits.nameByteCountMax).contains(name.utf8.count)
            && name.utf8.allSatisfy(SettingsScalar.isKeyByte)
    }

    // MARK: Users

    package mutating func createUser(
        name: String,
        roles: [String],
        password: PasswordHash?,
        now: WallTime
    ) throws(AccessError) {
        try Self.check(name: name, kind: "user")
        guard self.user(name) == nil else {
            throw AccessError(.exists, "user \(name) exists already")
        }
        guard self.users.count < Limits.userCountMax else {
            throw AccessError(.tooMany, "there are \(Limits.userCountMax) users, the most allowed")
        }
        try self.check(roles: roles)
        let user = User(
            name: name,
            enabled: true,
            roles: Self.unique(roles),
            password: password?.description,
            created: now.milliseconds,
            certificates: []
        )
        try self.change { (document) throws(AccessError) in document.users.append(user) }
    }

    package mutating func setPassword(of name: String, to hash: PasswordHash?) throws(AccessError) {
        try self.changeUser(name) { $0.password = hash?.description }
    }

    package mutating func setEnabled(_ isEnabled: Bool, user name: String) throws(AccessError) {
        try self.changeUser(name) { $0.enabled = isEnabled }
    }

    /// Replaces the roles of a user.
    package mutating func setRoles(of name: String, to roles: [String]) throws(AccessError) {
        try self.check(roles: roles)
        try self.changeUser(name) { $0.roles = Self.unique(roles) }
    }

    /// Deletes a user and revokes the certificates that were signed for it, so that a later user
    /// of the same name does not inherit them.
    package mutating func deleteUser(_ name: String) throws(AccessError) {
        let user = try self.existing(name)
        try self.change { (document) throws(AccessError) in
            try document.revoke(user.certificates)
            document.users.removeAll { $0.name == name }
        }
    }

    // MARK: Certificates

    /// Remembers a certificate that was signed for a user, and forgets those past their time.
    package mutating func addCertificate(
        _ certificate: IssuedCertificate,
        to name: String,
        now: WallTime
    ) throws(AccessError) {
        let seconds = now.milliseconds / 1_000
        let kept = try self.existing(name).certificates.filter { $0.notAfter >= seconds }
        guard kept.count < Self.certificatesPerUserMax else {
            throw AccessError(
                .tooMany,
                "user \(name) has \(Self.certificatesPerUserMax) valid certificates, the most "
                    + "allowed: revoke them with `prustadm client revoke \(name)`"
            )
        }
        try self.change { (document) throws(AccessError) in
            document.revoked.removeAll { $0.until < seconds }
            document.update(name) { $0.certificates = kept + [certificate] }
        }
    }

    /// Revokes all certificates of a user; gives how many there were.
    package mutating func revokeCertificates(of name: String) throws(AccessError) -> Int {
        let user = try self.existing(name)
        try self.change { (document) throws(AccessError) in
            try document.revoke(user.certificates)
            document.update(name) { $0.certificates = [] }
        }
        return user.certificates.count
    }

    private mutating func revoke(_ certificates: [IssuedCertificate]) throws(AccessError) {
        guard self.revoked.count + certificates.count <= Self.revocationCountMax else {
            throw AccessError(
                .tooMany,
                "there are \(Self.revocationCountMax) revoked certificates, the most allowed"
            )
        }
        self.revoked += certificates.map { Revocation(serial: $0.serial, until: $0.notAfter) }
    }

    // MARK: Roles

    package mutating func createRole(_ role: Role) throws(AccessError) {
        try Self.check(role)
        guard self.role(role.name) == nil else {
            throw AccessError(.exists, "role \(role.name) exists already")
        }
        guard self.roles.count < Limits.roleCountMax else {
            throw AccessError(.tooMany, "there are \(Limits.roleCountMax) roles, the most allowed")
        }
        try self.change { (document) throws(AccessError) in document.roles.append(role) }
    }

    package mutating func deleteRole(_ name: String) throws(AccessError) {
        guard !Role.builtIn.contains(where: { $0.name == name }) else {
            throw AccessError(.builtIn, "role \(name) is built in and cannot be deleted")
        }
        guard self.role(name) != nil else {
            throw AccessError(.notFound, "there is no role \(name)")
        }
        let holders = self.users.filter { $0.roles.contains(name) }.map(\.name)
        guard holders.isEmpty else {
            throw AccessError(
                .inUse,
                "role \(name) is held by \(holders.prefix(5).joined(separator: ", ")): "
                    + "give them other roles first (`prustadm user grant`)"
            )
        }
        try self.change { (document) throws(AccessError) in
            document.roles.removeAll { $0.name == name }
        }
    }

    // MARK: Checks

    /// Checks what was read from a file.
    package func validate() throws(AccessError) {
        guard self.format == Self.formatCurrent else {
            throw AccessError(
                .storage,
                "format \(self.format) is not \(Self.formatCurrent): made by another version"
            )
        }
        var fresh = Self()
        for role in self.roles { try fresh.createRole(role) }
        guard self.users.count <= Limits.userCountMax else {
            throw AccessError(.tooMany, "\(self.users.count) users are too many")
        }
        guard self.revoked.count <= Self.revocationCountMax else {
            throw AccessError(.tooMany, "\(self.revoked.count) revocations are too many")
        }
        var names: Set<String> = []
        for user in self.users {
            try Self.check(name: user.name, kind: "user")
            guard names.insert(user.name).inserted else {
                throw AccessError(.exists, "user \(user.name) is there twice")
            }
            try fresh.check(roles: user.roles)
            if let password = user.password, PasswordHash(password) == nil {
                throw AccessError(.invalid, "user \(user.name): the password is no scrypt hash")
            }
            guard user.certificates.count <= Self.certificatesPerUserMax else {
                throw AccessError(.tooMany, "user \(user.name): too many certificates")
            }
        }
    }

    private static func check(name: String, kind: String) throws(AccessError) {
        guard Self.isValidName(name) else {
            throw AccessError(
                .invalid,
                "\(kind) name: expected 1 to \(Limits.nameByteCountMax) of A-Z a-z 0-9 . _ -"
            )
        }
    }

    private static func check(_ role: Role) throws(AccessError) {
        try Self.check(name: role.name, kind: "role")
        guard !role.verbs.isEmpty, Set(role.verbs).count == role.verbs.count else {
            throw AccessError(.invalid, "verbs: expected one or more of read, write, admin")
        }
        guard role.prefixes.count <= Limits.rolePrefixCountMax else {
            throw AccessError(
                .tooMany,
                "\(role.prefixes.count) prefixes, at most \(Limits.rolePrefixCountMax) are allowed"
            )
        }
        for prefix in role.prefixes
        where !(1...Limits.keyByteCountMax).contains(prefix.utf8.count) {
            throw AccessError(
                .invalid,
                "prefix: expected 1 to \(Limits.keyByteCountMax) bytes (none at all is every key)"
            )
        }
    }

    private func check(roles: [String]) throws(AccessError) {
        guard roles.count <= Self.rolesPerUserMax else {
            throw AccessError(.tooMany, "at most \(Self.rolesPerUserMax) roles for one user")
        }
        for name in roles where self.role(name) == nil {
            let names = (Role.builtIn + self.roles).map(\.name)
            let guess = Spelling.nearest(to: name, among: names).map { "; did you mean \($0)?" }
            throw AccessError(.notFound, "there is no role \(name)\(guess ?? "")")
        }
    }

    private static func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }

    private func existing(_ name: String) throws(AccessError) -> User {
        guard let user = self.user(name) else {
            throw AccessError(.notFound, "there is no user \(name)")
        }
        return user
    }

    private mutating func update(_ name: String, _ body: (inout User) -> Void) {
        for index in self.users.indices where self.users[index].name == name {
            body(&self.users[index])
        }
    }

    private mutating func changeUser(
        _ name: String,
        _ body: (inout User) -> Void
    ) throws(AccessError) {
        _ = try self.existing(name)
        try self.change { (document) throws(AccessError) in document.update(name, body) }
    }

    /// Makes a change unless it would leave nobody who can administer the cluster.
    private mutating func change(
        _ body: (inout Self) throws(AccessError) -> Void
    ) throws(AccessError) {
        var copy = self
        try body(&copy)
        let admins = self.enabledAdmins
        if !admins.isEmpty, copy.enabledAdmins.isEmpty {
            let name = admins.joined(separator: ", ")
            throw AccessError(
                .lastAdmin,
                "\(name) is the last enabled user with the verb admin: give it to another first"
            )
        }
        copy.users.sort { $0.name < $1.name }
        copy.roles.sort { $0.name < $1.name }
        copy.revision &+= 1
        self = copy
    }

    private var enabledAdmins: [String] {
        self.users.filter { user in
            user.enabled
                && user.roles.contains { self.role($0)?.verbs.contains(.admin) ?? false }
        }.map(\.name)
    }
}
