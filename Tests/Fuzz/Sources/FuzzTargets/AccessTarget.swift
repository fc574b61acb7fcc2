import FoundationEssentials
import PrustCore
import PrustServer

/// The file of users and roles, and changes of what was read from it.
///
/// The text ends at the first zero byte; what follows are changes. Properties: a document that is
/// accepted is the same after it was written and read; sessions see exactly what it grants; a
/// change that is refused changes nothing, and one that is made leaves a valid document in which
/// somebody can still administer the cluster if somebody could before.
package func fuzzAccess(_ bytes: UnsafeRawBufferPointer) {
    let parts = Array(bytes).split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
    var document = AccessDocument()
    do throws(AccessError) {
        document = try AccessFile.decode(Array(parts[0]))
        AccessCheck.checkWrittenAgain(document)
    } catch {
        checkIsOneLine(error.message)
    }
    AccessCheck.checkTable(document)
    guard parts.count > 1 else { return }
    parts[1].withUnsafeBytes { rest in
        var input = FuzzInput(rest)
        var count = 0
        while !input.isEmpty, count < 16 {
            AccessCheck.change(&document, &input)
            count += 1
        }
    }
    AccessCheck.checkTable(document)
}

private enum AccessCheck {
    static let now = WallTime(milliseconds: 1_767_225_600_000)

    static func checkWrittenAgain(_ document: AccessDocument) {
        let again = succeed("reading what was written") {
            try AccessFile.decode(Array(try JSONEncoder().encode(document)))
        }
        check(again == document, "\(again) from \(document)")
    }

    static func checkTable(_ document: AccessDocument) {
        let table = AccessTable(document)
        let revoked = document.revoked.first?.serial
        for user in document.users.prefix(8) {
            let principal = table.principal(certificateName: user.name, serial: "no serial")
            check((principal != nil) == user.enabled, "user \(user.name): \(user.enabled)")
            if let revoked {
                let other = table.principal(certificateName: user.name, serial: revoked)
                check(other == nil, "a revoked certificate lets \(user.name) in")
            }
            guard let principal else { continue }
            Self.checkPrincipal(principal, user, document)
        }
    }

    private static func checkPrincipal(
        _ principal: Principal,
        _ user: AccessDocument.User,
        _ document: AccessDocument
    ) {
        let roles = user.roles.compactMap { document.role($0) }
        let isAdmin = roles.contains { $0.verbs.contains(.admin) }
        check(principal.isAdmin == isAdmin, "\(user.name) is admin: \(isAdmin)")
        let prefixes = roles.flatMap(\.prefixes)
        let keys = prefixes + prefixes.map { $0 + "x" } + prefixes.map { String($0.dropLast()) }
        for key in keys.prefix(64) + ["", "any"] {
            for verb in [Verb.read, .write] {
                let isAllowed = roles.contains { role in
                    role.verbs.contains(verb)
                        && (role.prefixes.isEmpty
                            || role.prefixes.contains { Array(key.utf8).starts(with: $0.utf8) })
                }
                let answer = Array(key.utf8).withUnsafeBytes { principal.allows(verb, key: $0) }
                check(answer == isAllowed, "\(user.name) \(verb) \(key): \(answer)")
                check(!isAllowed || principal.allowsSome(verb), "\(verb) on some")
            }
        }
    }

    private static func isAdministered(_ document: AccessDocument) -> Bool {
        document.users.contains { user in
            user.enabled
                && user.roles.contains { document.role($0)?.verbs.contains(.admin) == true }
        }
    }

    static func change(_ document: inout AccessDocument, _ input: inout FuzzInput) {
        let before = document
        do throws(AccessError) {
            try Self.apply(&input, to: &document)
            check(
                Self.isAdministered(document) || !Self.isAdministered(before),
                "nobody can administer the cluster any more"
            )
            succeed("checking a changed document") { try document.validate() }
            Self.checkWrittenAgain(document)
        } catch {
            checkIsOneLine(error.message)
            check(document == before, "a refused change: \(error)")
        }
    }

    private static func name(_ input: inout FuzzInput) -> String {
        let short = ["admin", "a", "b", "readwrite", "readonly", "ops"]
        let selector = input.byte()
        if selector < 0x80 { return short[Int(selector) % short.count] }
        return String(decoding: input.take(Int(selector & 0x7F)), as: UTF8.self)
    }

    private static func apply(
        _ input: inout FuzzInput,
        to document: inout AccessDocument
    ) throws(AccessError) {
        let action = input.byte() % 9
        let name = Self.name(&input)
        switch action {
        case 0, 1:
            let roles = (0..<Int(input.byte() % 20)).map { _ in Self.name(&input) }
            try document.createUser(name: name, roles: roles, password: nil, now: Self.now)
        case 2: try document.deleteUser(name)
        case 3:
            let roles = (0..<Int(input.byte() % 20)).map { _ in Self.name(&input) }
            try document.setRoles(of: name, to: roles)
        case 4: try document.setEnabled(input.byte() & 1 == 0, user: name)
        case 5:
            let mask = input.byte()
            let verbs = Verb.allCases.enumerated().filter { mask >> $0.offset & 1 == 1 }
            let prefixes = (0..<Int(input.byte() % 70)).map { _ in Self.name(&input) }
            try document.createRole(
                .init(name: name, verbs: verbs.map(\.element), prefixes: prefixes)
            )
        case 6: try document.deleteRole(name)
        case 7:
            let certificate = AccessDocument.IssuedCertificate(
                serial: Self.name(&input),
                fingerprint: "00",
                notAfter: Int64(bitPattern: input.long())
            )
            try document.addCertificate(certificate, to: name, now: Self.now)
        default: _ = try document.revokeCertificates(of: name)
        }
    }
}
