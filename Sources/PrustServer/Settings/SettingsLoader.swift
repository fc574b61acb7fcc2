import PrustCore

/// What the command line says about settings; it wins over the file and the environment.
package struct SettingFlags: Equatable, Sendable {
    /// `--data-dir`.
    package var dataDirectory: String?
    /// `--port`: the port of `listen`, and of `advertise` when that was not given otherwise.
    package var port: String?
    /// `--metrics-listen`.
    package var metricsListen: String?
    /// `--set NAME=VALUE`, any setting.
    package var assignments: [String]

    package init(
        dataDirectory: String? = nil,
        port: String? = nil,
        metricsListen: String? = nil,
        assignments: [String] = []
    ) {
        self.dataDirectory = dataDirectory
        self.port = port
        self.metricsListen = metricsListen
        self.assignments = assignments
    }
}

/// Gathers settings from a file, the environment and flags, and every problem on the way.
package struct SettingsLoader {
    private(set) package var settings = Settings.defaults
    private(set) package var problems: [SettingsProblem] = []
    /// Where each setting that is not at its default came from.
    private(set) package var origins: [String: String] = [:]
    private var placeOf: [String: (source: String, line: Int?)] = [:]
    private var hasFile = false

    package init() {}

    /// Reads the text of a file.
    package mutating func readFile(_ bytes: [UInt8], name: String) {
        self.hasFile = true
        guard bytes.count <= Limits.settingsByteCountMax else {
            return self.report(
                SettingsProblem(
                    source: name,
                    found: "\(bytes.count) bytes",
                    expected: "at most \(Limits.settingsByteCountMax) bytes"
                )
            )
        }
        let text = SettingsText(bytes: bytes)
        for problem in text.problems {
            self.report(
                SettingsProblem(
                    source: name,
                    line: problem.line,
                    found: problem.found,
                    expected: problem.expected
                )
            )
        }
        for entry in text.entries { self.readEntry(entry, source: name) }
        guard text.problems.isEmpty else { return }
        let names = Set(text.entries.map(\.name))
        for required in SettingTable.requiredInFile where !names.contains(required) {
            self.report(
                SettingsProblem(
                    source: name,
                    field: required,
                    found: "nothing",
                    expected: SettingTable.byName[required]?.expectation ?? "a value"
                )
            )
        }
    }

    private mutating func readEntry(_ entry: SettingsText.Entry, source: String) {
        let isSection = SettingTable.all.contains { $0.name.hasPrefix(entry.name + ".") }
        let found: String
        switch entry.content {
        case .section where isSection: return
        case .section: found = "a section"
        case .empty: found = "no value"
        case .list: found = "a list"
        case .scalar(let text):
            if Self.isBelowSetting(entry.name) { return }
            if !isSection || SettingTable.byName[entry.name] != nil {
                return self.set(entry.name, to: text, source: source, line: entry.line)
            }
            found = "\"\(text)\""
        }
        var expected = "a section with lines under it"
        if !isSection {
            guard let key = SettingTable.byName[entry.name] else {
                // What stands below a setting was reported with the setting.
                if Self.isBelowSetting(entry.name) { return }
                return self.reportUnknown(entry.name, source: source, line: entry.line)
            }
            expected = key.expectation
        }
        self.report(
            SettingsProblem(
                source: source,
                line: entry.line,
                field: entry.name,
                found: found,
                expected: expected
            )
        )
    }

    private static func isBelowSetting(_ name: String) -> Bool {
        SettingTable.all.contains { name.hasPrefix($0.name + ".") }
    }

    /// Reads the variables that begin with `PRUSTDB_`.
    package mutating func readEnvironment(_ environment: [String: String]) {
        let keys = Dictionary(
            SettingTable.all.map { ($0.variable, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        for (variable, text) in environment.sorted(by: { $0.key < $1.key })
        where variable.hasPrefix("PRUSTDB_") {
            if SettingTable.foreignVariables.contains(variable) { continue }
            if let key = keys[variable] {
                self.set(key.name, to: text, source: "environment", line: nil, field: variable)
            } else {
                let guess = Spelling.nearest(to: variable, among: keys.keys.sorted())
                self.report(
                    SettingsProblem(
                        source: "environment",
                        field: variable,
                        found: "a variable that is no setting",
                        expected: guess.map { "\($0) perhaps" } ?? "a setting's variable"
                    )
                )
            }
        }
    }

    /// Reads what the command line says.
    package mutating func readFlags(_ flags: SettingFlags) {
        let source = "command line"
        if let text = flags.dataDirectory {
            self.set("data-dir", to: text, source: source, line: nil, field: "--data-dir")
        }
        if let text = flags.metricsListen {
            self.set(
                "metrics.listen",
                to: text,
                source: source,
                line: nil,
                field: "--metrics-listen"
            )
        }
        for assignment in flags.assignments {
            guard let equals = assignment.firstIndex(of: "=") else {
                self.report(
                    SettingsProblem(
                        source: source,
                        field: "--set",
                        found: "\"\(assignment.printable)\"",
                        expected: "NAME=VALUE"
                    )
                )
                continue
            }
            let name = String(assignment[..<equals])
            let text = String(assignment[assignment.index(after: equals)...])
            self.set(name, to: text, source: source, line: nil, field: "--set \(name)")
        }
        if let text = flags.port {
            var listen = self.settings.listen
            listen.port = SettingUnit.number(text.utf8) ?? -1
            self.set(
                "listen",
                to: (0...65_535).contains(listen.port) ? listen.description : text,
                source: source,
                line: nil,
                field: "--port"
            )
        }
    }

    private mutating func set(
        _ name: String,
        to text: String,
        source: String,
        line: Int?,
        field: String? = nil
    ) {
        guard let key = SettingTable.byName[name] else {
            return self.reportUnknown(name, source: source, line: line)
        }
        guard let value = key.parse(text) else {
            let isShort = text.utf8.count <= 80
            return self.report(
                SettingsProblem(
                    source: source,
                    line: line,
                    field: field ?? name,
                    found: isShort
                        ? "\"\(text.printable)\"" : "\(text.utf8.count) bytes of text",
                    expected: key.expectation
                )
            )
        }
        key.write(&self.settings, value)
        self.placeOf[name] = (source, line)
        self.origins[name] = line.map { "\(source):\($0)" } ?? "\(source) (\(field ?? name))"
    }

    private mutating func reportUnknown(_ name: String, source: String, line: Int?) {
        let guess = Spelling.nearest(to: name, among: SettingTable.all.map(\.name))
        self.report(
            SettingsProblem(
                source: source,
                line: line,
                field: name,
                found: "an unknown setting",
                expected: guess.map { "\($0) perhaps" } ?? "one of those in the documentation"
            )
        )
    }

    private mutating func report(_ problem: SettingsProblem) {
        guard self.problems.count < SettingsText.problemCountMax else { return }
        self.problems.append(problem)
    }

    /// Checks what depends on several settings and fills in the defaults that do.
    ///
    /// - Parameter credentialsDirectory: `$CREDENTIALS_DIRECTORY`, for `credential:NAME`.
    package mutating func finish(credentialsDirectory: String?) {
        if self.settings.dataDirectory.isEmpty, self.problems.isEmpty {
            self.complain(
                "data-dir",
                "nothing",
                "a directory (data-dir in the file, or --data-dir)"
            )
        }
        let listen = self.settings.listen
        let metrics = self.settings.metricsListen
        if listen.port != 0, listen == metrics {
            self.complain("metrics.listen", "the address of listen", "another port")
        }
        if let advertise = self.settings.advertise, advertise.isWildcard {
            self.complain(
                "advertise",
                "\"\(advertise)\"",
                "an address that others can connect to, such as this machine's name"
            )
        }
        let perAddress = self.settings.limits.connectionsPerAddress
        if perAddress > self.settings.limits.connections {
            self.settings.limits.connectionsPerAddress = self.settings.limits.connections
            if self.placeOf["limits.connections-per-address"] != nil {
                self.complain(
                    "limits.connections-per-address",
                    "\(perAddress)",
                    "at most limits.connections (\(self.settings.limits.connections))"
                )
            }
        }
        self.fillPaths(credentialsDirectory: credentialsDirectory)
    }

    private mutating func fillPaths(credentialsDirectory: String?) {
        let directory = self.settings.dataDirectory
        if self.settings.adminSocket.isEmpty {
            self.settings.adminSocket = directory + "/admin.sock"
        }
        if self.settings.adminSocket.utf8.count > Self.socketPathByteCountMax {
            let found = "a path of \(self.settings.adminSocket.utf8.count) bytes"
            self.complain("admin.socket", found, "at most \(Self.socketPathByteCountMax) bytes")
        }
        let files: [(String, WritableKeyPath<Settings, String>, String)] = [
            ("tls.certificate", \.tls.certificate, "node.crt"),
            ("tls.key", \.tls.key, "node.key"),
            ("tls.ca", \.tls.authority, "ca.crt"),
        ]
        for (name, path, file) in files {
            let text = self.settings[keyPath: path]
            if text.isEmpty {
                self.settings[keyPath: path] = "\(directory)/identity/\(file)"
            } else if text.hasPrefix(Self.credentialPrefix) {
                let credential = text.dropFirst(Self.credentialPrefix.count)
                if credential.isEmpty || credential.contains("/") || credential.hasPrefix(".") {
                    self.complain(name, "\"\(text)\"", "credential:NAME")
                } else if let root = credentialsDirectory {
                    self.settings[keyPath: path] = "\(root)/\(credential)"
                } else {
                    self.complain(
                        name,
                        "\"\(text)\" without $CREDENTIALS_DIRECTORY",
                        "a unit with LoadCredential=\(credential):PATH"
                    )
                }
            }
        }
    }

    private mutating func complain(_ name: String, _ found: String, _ expected: String) {
        let place = self.placeOf[name]
        self.report(
            SettingsProblem(
                source: place?.source ?? (self.hasFile ? "settings" : "command line"),
                line: place?.line,
                field: name,
                found: found,
                expected: expected
            )
        )
    }

    private static let credentialPrefix = "credential:"
    /// The size of `sun_path`, without the closing zero.
    private static let socketPathByteCountMax = 107
}
