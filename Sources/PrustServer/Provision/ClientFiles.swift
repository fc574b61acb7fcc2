import PrustTLS

/// The files that a client needs, in a directory of their own.
package struct ClientFiles: Equatable, Sendable {
    package let directory: String

    /// - Parameter directory: Made absolute, because the profile is read from anywhere.
    package init(directory: String) {
        self.directory = DataDirectory.absolute(directory)
    }

    package var authority: String { self.directory + "/ca.crt" }
    package var certificate: String { self.directory + "/client.crt" }
    package var key: String { self.directory + "/client.key" }
    package var profile: String { self.directory + "/client.yaml" }

    /// Whether the three files of a client with a certificate are there.
    package var areComplete: Bool {
        [self.authority, self.certificate, self.key].allSatisfy { DataDirectory.exists($0) }
    }

    /// Whether one of the files is there, so that writing would replace it.
    package var isBegun: Bool {
        [self.authority, self.certificate, self.key].contains { DataDirectory.exists($0) }
    }

    /// Writes `ca.crt`, `client.crt`, `client.key` (where the node made it) and the profile
    /// `client.yaml`, each readable by its owner only.
    ///
    /// - Parameters:
    ///   - credentials: As the CA gave them.
    ///   - nodes: Addresses for the profile.
    /// - Throws: ``FoundingError``.
    package func write(
        _ credentials: ClientCredentials,
        nodes: [String]
    ) throws(FoundingError) {
        try DataDirectory.make(self.directory)
        do throws(TLSError) {
            // First, so that files left by an interruption can be told from another cluster's.
            try PrivateFile.write(Array(credentials.ca.utf8), path: self.authority, mode: 0o600)
            if let key = credentials.key {
                try PrivateFile.write(Array(key.utf8), path: self.key, mode: 0o600)
            }
            let certificate = Array(credentials.certificate.utf8)
            try PrivateFile.write(certificate, path: self.certificate, mode: 0o600)
            try PrivateFile.write(
                Array(self.profileText(nodes: nodes).utf8),
                path: self.profile,
                mode: 0o600
            )
        } catch {
            throw FoundingError(.file, error.message)
        }
    }

    /// The profile that `PrustDBClient` reads.
    func profileText(nodes: [String]) -> String {
        let list = nodes.map { "\"\($0)\"" }.joined(separator: ", ")
        return """
            # How a client reaches this cluster: $PRUSTDB_PROFILE, or ~/.config/prustdb/client.yaml
            nodes: [\(list)]
            ca: \(SettingsManual.quoted(self.authority))
            cert: \(SettingsManual.quoted(self.certificate))
            key: \(SettingsManual.quoted(self.key))

            """
    }
}
