/// Who a session is and what it may do: immutable, resolved once, asked for every key.
package final class Principal: Sendable {
    package let name: String
    package let method: AuthenticationMethod
    package let roles: [String]
    package let isAdmin: Bool
    /// What its login rested on: another user of the same name, or another password, has another.
    let proof: String

    /// All keys, so that ``allows(_:key:)`` looks at no prefix.
    private let readsAll: Bool
    private let writesAll: Bool
    private let readPrefixes: KeyPrefixSet
    private let writePrefixes: KeyPrefixSet

    init(
        name: String,
        method: AuthenticationMethod,
        roles: [AccessDocument.Role],
        proof: String = ""
    ) {
        self.name = name
        self.proof = proof
        self.method = method
        self.roles = roles.map(\.name)
        self.isAdmin = roles.contains { $0.verbs.contains(.admin) }
        func prefixes(of verb: Verb) -> (all: Bool, prefixes: KeyPrefixSet) {
            let granting = roles.filter { $0.verbs.contains(verb) }
            let isAll = granting.contains { $0.prefixes.isEmpty || $0.prefixes.contains("") }
            let bytes = isAll ? [] : granting.flatMap { $0.prefixes.map { Array($0.utf8) } }
            return (isAll, KeyPrefixSet(bytes))
        }
        (self.readsAll, self.readPrefixes) = prefixes(of: .read)
        (self.writesAll, self.writePrefixes) = prefixes(of: .write)
    }

    /// Somebody who came through the admin socket, whose file permissions have decided.
    package static func socket(name: String) -> Principal {
        Principal(name: name, method: .socket, roles: [AccessDocument.Role.administrator])
    }

    /// Whether the verb is allowed on all keys (for `admin`: at all).
    package func allows(_ verb: Verb) -> Bool {
        switch verb {
        case .read: self.readsAll
        case .write: self.writesAll
        case .admin: self.isAdmin
        }
    }

    /// Whether the verb is allowed on some key, so that a command over many keys may run at all.
    package func allowsSome(_ verb: Verb) -> Bool {
        switch verb {
        case .read: self.readsAll || self.readPrefixes.count > 0
        case .write: self.writesAll || self.writePrefixes.count > 0
        case .admin: self.isAdmin
        }
    }

    /// Whether the verb is allowed on a key.
    package func allows(_ verb: Verb, key: UnsafeRawBufferPointer) -> Bool {
        switch verb {
        case .read: self.readsAll || self.readPrefixes.contains(beginningOf: key)
        case .write: self.writesAll || self.writePrefixes.contains(beginningOf: key)
        case .admin: self.isAdmin
        }
    }
}
