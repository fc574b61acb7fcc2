private import FoundationEssentials
private import PrustCore
private import Yams

/// What the profile file of a user says: the nodes, and the credentials.
///
/// YAML with the fields `nodes` (a list of HOST:PORT), `ca`, and either `cert` and `key` or `user`
/// and `password-file`. A relative path is relative to the profile's directory.
package struct ClientProfile: Sendable {
    package let nodes: [NodeAddress]
    package let credentials: ClientCredentials

    /// Path of the profile: `PRUSTDB_PROFILE`, else `.config/prustdb/client.yaml` in `HOME`.
    package static func path(environment: [String: String]) throws(ClientError) -> String {
        if let path = environment["PRUSTDB_PROFILE"], !path.isEmpty { return path }
        guard let home = environment["HOME"], !home.isEmpty else {
            throw ClientError(
                .invalidConfiguration,
                "no profile: neither PRUSTDB_PROFILE nor HOME is set"
            )
        }
        return home + "/.config/prustdb/client.yaml"
    }

    /// Loads the profile of this process.
    package static func load() throws(ClientError) -> Self {
        try Self.load(file: try Self.path(environment: ProcessInfo.processInfo.environment))
    }

    package static func load(file: String) throws(ClientError) -> Self {
        let text = try Self.text(file: file, byteCountMax: Limits.settingsByteCountMax)
        return try Self(text: text, file: file)
    }

    /// Reads the text of a profile; files that it names are read, too, but for PEM files.
    package init(text: String, file: String) throws(ClientError) {
        let fields = try Fields(text: text, file: file)
        let nodes = try fields.nodes()
        let authority = try fields.path("ca")
        if fields.has("cert") || fields.has("key") {
            self.credentials = ClientCredentials(
                ca: authority,
                certificate: try fields.path("cert"),
                key: try fields.path("key")
            )
        } else {
            guard fields.has("user") else {
                throw fields.error("cert", "missing, 'cert' and 'key' or 'user' are expected")
            }
            let user = try fields.string("user")
            let passwordFile = try fields.path("password-file")
            var password = try Self.text(
                file: passwordFile,
                byteCountMax: Limits.passwordByteCountMax + 2
            )
            while let last = password.last, last.isNewline { password.removeLast() }
            self.credentials = ClientCredentials(ca: authority, user: user, password: password)
        }
        self.nodes = nodes
    }

    private static func text(file: String, byteCountMax: Int) throws(ClientError) -> String {
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: file))
        } catch {
            let reason = FileManager.default.fileExists(atPath: file) ? "unreadable" : "not found"
            throw ClientError(.invalidConfiguration, "\(file): \(reason)", cause: error)
        }
        guard data.count <= byteCountMax else {
            throw ClientError(
                .invalidConfiguration,
                "\(file): \(data.count) bytes, at most \(byteCountMax) are expected"
            )
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw ClientError(.invalidConfiguration, "\(file): not UTF-8 text")
        }
        return text
    }
}

extension ClientProfile {
    /// The fields of the file with the lines on which they stand.
    private struct Fields {
        static let known = ["nodes", "ca", "cert", "key", "user", "password-file"]

        let file: String
        let mapping: Node.Mapping

        init(text: String, file: String) throws(ClientError) {
            self.file = file
            let root: Node?
            do {
                root = try compose(yaml: text)
            } catch {
                throw ClientError(
                    .invalidConfiguration,
                    Self.firstLine("\(file): \(error)"),
                    cause: error
                )
            }
            guard let mapping = root?.mapping else {
                throw ClientError(
                    .invalidConfiguration,
                    "\(file):1: fields such as 'nodes:' are expected"
                )
            }
            self.mapping = mapping
            for (key, _) in mapping {
                let name = key.string ?? ""
                guard Self.known.contains(name) else {
                    throw ClientError(
                        .invalidConfiguration,
                        "\(file):\(key.mark?.line ?? 1): \(name): unknown field, one of "
                            + Self.known.joined(separator: ", ") + " is expected"
                    )
                }
            }
        }

        /// Yams draws the place below its message; one line is what a terminal wants.
        static func firstLine(_ text: String) -> String {
            String(text.split(separator: "\n").first ?? "")
        }

        func has(_ name: String) -> Bool { self.mapping[Node(name)] != nil }

        func error(_ name: String, _ problem: String, at node: Node? = nil) -> ClientError {
            let line = (node ?? self.mapping[Node(name)])?.mark?.line
            let place = line.map { "\(self.file):\($0)" } ?? self.file
            return ClientError(.invalidConfiguration, "\(place): \(name): \(problem)")
        }

        func string(_ name: String) throws(ClientError) -> String {
            guard let node = self.mapping[Node(name)] else { throw self.error(name, "missing") }
            guard let text = node.scalar?.string, !text.isEmpty else {
                throw self.error(name, "a text is expected")
            }
            return text
        }

        func path(_ name: String) throws(ClientError) -> String {
            let path = try self.string(name)
            guard !path.hasPrefix("/"), let slash = self.file.lastIndex(of: "/") else {
                return path
            }
            return self.file[...slash] + path
        }

        func nodes() throws(ClientError) -> [NodeAddress] {
            guard let node = self.mapping[Node("nodes")] else {
                throw self.error("nodes", "missing")
            }
            guard let sequence = node.sequence, !sequence.isEmpty, sequence.count <= 1_000 else {
                throw self.error("nodes", "a list of 1 to 1,000 HOST:PORT is expected")
            }
            var nodes: [NodeAddress] = []
            for item in sequence {
                guard let text = item.scalar?.string else {
                    throw self.error("nodes", "a list of HOST:PORT is expected", at: item)
                }
                do {
                    nodes.append(try NodeAddress(text))
                } catch {
                    throw self.error("nodes", error.message, at: item)
                }
            }
            return nodes
        }
    }
}
