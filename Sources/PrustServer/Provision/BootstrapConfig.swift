/// What a bootstrap takes from the settings file, and how it completes it.
///
/// The file of a fresh installation lacks `listen` and `advertise`, so that no node starts with
/// an address that nobody chose; everything else in it must be right.
package struct BootstrapConfig: Equatable, Sendable {
    /// `nil` when there is no file.
    package var path: String?
    package var dataDirectory: String?
    package var listen = Settings.defaults.listen
    package var advertise: Endpoint?
    package var partitionBits = Settings.defaults.cluster.partitionBits
    package var replicationFactor = Settings.defaults.cluster.replicationFactor

    /// Reads a settings file.
    ///
    /// - Parameters:
    ///   - path: As it was asked for; it must exist.
    ///   - fallback: Used when nothing was asked for, if it exists.
    /// - Throws: ``FoundingError`` or ``SettingsError``.
    package init(path: String?, fallback: String) throws {
        guard let file = path ?? (DataDirectory.exists(fallback) ? fallback : nil) else { return }
        self.path = file
        try self.take(TextFile.read(file), name: file)
    }

    init(text: [UInt8], name: String) throws(SettingsError) {
        self.path = name
        try self.take(text, name: name)
    }

    private mutating func take(_ bytes: [UInt8], name: String) throws(SettingsError) {
        var loader = SettingsLoader()
        loader.readFile(bytes, name: name)
        let problems = loader.problems.filter { problem in
            let isMissing = problem.line == nil && problem.found == "nothing"
            return !(isMissing && SettingTable.requiredInFile.contains(problem.field))
        }
        guard problems.isEmpty else { throw SettingsError(problems: problems) }
        let settings = loader.settings
        if !settings.dataDirectory.isEmpty { self.dataDirectory = settings.dataDirectory }
        self.listen = settings.listen
        self.advertise = settings.advertise
        self.partitionBits = settings.cluster.partitionBits
        self.replicationFactor = settings.cluster.replicationFactor
    }

    /// Sets both addresses in the file, if the result is a file that a node would start with.
    ///
    /// - Parameters:
    ///   - listen: New value.
    ///   - advertise: New value.
    /// - Throws: ``FoundingError`` or ``SettingsError``; then the file is as it was.
    package func write(listen: Endpoint, advertise: Endpoint) throws {
        guard let path = self.path else { return }
        var text = String(decoding: try TextFile.read(path), as: UTF8.self)
        text = ConfigFile.setting("listen", to: listen.description, in: text)
        text = ConfigFile.setting("advertise", to: advertise.description, in: text)
        var loader = SettingsLoader()
        loader.readFile(Array(text.utf8), name: path)
        guard loader.problems.isEmpty else { throw SettingsError(problems: loader.problems) }
        try TextFile.replace(path, with: Array(text.utf8))
    }
}
