import PrustCore
import PrustTLS

extension Settings {
    /// Settings together with where each came from.
    package struct Loaded: Equatable, Sendable {
        package var settings: Settings
        /// `FILE:LINE`, `environment (VARIABLE)` or `command line (FLAG)` by name of the setting.
        package var origins: [String: String]

        package init(settings: Settings, origins: [String: String]) {
            self.settings = settings
            self.origins = origins
        }
    }

    /// Reads the file, then the environment, then the flags, each over the one before.
    ///
    /// - Parameters:
    ///   - file: Path of the settings file; `nil` when there is none.
    ///   - environment: The variables of the process.
    ///   - flags: What the command line says.
    /// - Returns: Complete settings: paths that depend on the data directory are filled in.
    /// - Throws: ``SettingsError`` with every problem of all sources.
    package static func load(
        file: String?,
        environment: [String: String],
        flags: SettingFlags
    ) throws(SettingsError) -> Settings {
        try Self.loadWithOrigins(file: file, environment: environment, flags: flags).settings
    }

    /// The same, and where each setting came from.
    package static func loadWithOrigins(
        file: String?,
        environment: [String: String],
        flags: SettingFlags
    ) throws(SettingsError) -> Loaded {
        var loader = SettingsLoader()
        if let file {
            do {
                let bytes = try PrivateFile.read(
                    path: file,
                    byteCountMax: PrustCore.Limits.settingsByteCountMax
                )
                loader.readFile(bytes, name: file)
            } catch {
                let problem = SettingsProblem(
                    source: file,
                    found: Self.withoutPath(error.message, path: file),
                    expected: "a settings file that can be read"
                )
                throw SettingsError(problems: [problem])
            }
        }
        loader.readEnvironment(environment)
        loader.readFlags(flags)
        loader.finish(credentialsDirectory: environment["CREDENTIALS_DIRECTORY"])
        guard loader.problems.isEmpty else { throw SettingsError(problems: loader.problems) }
        return Loaded(settings: loader.settings, origins: loader.origins)
    }

    private static func withoutPath(_ message: String, path: String) -> String {
        let prefix = path + ": "
        return message.hasPrefix(prefix) ? String(message.dropFirst(prefix.count)) : message
    }

    /// One setting that differs between two sets.
    package struct Change: Equatable, Sendable, Codable {
        package var name: String
        package var from: String
        package var to: String
        /// `false` when it waits for a restart.
        package var takesEffect: Bool
    }

    /// What a reload to other settings would change, in the order of the table.
    package func changes(to other: Settings) -> [Change] {
        SettingTable.all.compactMap { key in
            let from = key.read(self)?.description ?? ""
            let to = key.read(other)?.description ?? ""
            guard from != to else { return nil }
            return Change(name: key.name, from: from, to: to, takesEffect: key.isReloadable)
        }
    }

    /// These settings with the reloadable ones taken from another set.
    ///
    /// Paths that nobody set follow the data directory, which waits for a restart: so do they.
    package func reloaded(from loaded: Loaded) -> Settings {
        let other = loaded.settings
        let isMoved = other.dataDirectory != self.dataDirectory
        var result = self
        for key in SettingTable.all where key.isReloadable {
            if isMoved, loaded.origins[key.name] == nil { continue }
            if let value = key.read(other) { key.write(&result, value) }
        }
        return result
    }
}
