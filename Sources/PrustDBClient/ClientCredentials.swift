/// Who the client is, and which authority vouches for the servers.
///
/// There is no anonymous access: a client comes with a certificate or with a password, always over
/// TLS. Paths name PEM files. Neither a description nor a mirror shows the password.
public struct ClientCredentials: Sendable, CustomStringConvertible, CustomReflectable {
    /// What proves the client's identity.
    enum Proof: Sendable {
        case certificate(file: String, keyFile: String)
        case password(user: String, password: String)
    }

    let authorityFile: String
    let proof: Proof

    /// A client that has a certificate.
    ///
    /// - Parameters:
    ///   - ca: File with the authorities that sign the servers' certificates.
    ///   - certificate: File with the client's certificate, its chain behind it.
    ///   - key: File with the certificate's private key.
    public init(ca: String, certificate: String, key: String) {
        self.authorityFile = ca
        self.proof = .certificate(file: certificate, keyFile: key)
    }

    /// A client that has a password.
    ///
    /// - Parameters:
    ///   - ca: File with the authorities that sign the servers' certificates.
    ///   - user: Name of the user.
    ///   - password: The user's password.
    public init(ca: String, user: String, password: String) {
        self.authorityFile = ca
        self.proof = .password(user: user, password: password)
    }

    /// The kind of credentials and the files' names.
    public var description: String {
        switch self.proof {
        case .certificate(let file, let keyFile):
            "credentials(ca: \(self.authorityFile), certificate: \(file), key: \(keyFile))"
        case .password(let user, _):
            "credentials(ca: \(self.authorityFile), user: \(user))"
        }
    }

    /// Nothing, so that `dump` shows no password.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
