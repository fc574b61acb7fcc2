import Glibc
import PrustServer

/// The settings of a node that is not asked.
enum OfflineSettings {
    /// The file to read: the one that was given, else that of the package, unless a data directory
    /// was given.
    static func file(config: String?, dataDirectory: String?) -> String? {
        if config != nil || dataDirectory != nil { return config }
        let packaged = BootstrapCommand.defaultConfig
        return access(packaged, F_OK) == 0 ? packaged : nil
    }

    /// Reads what a node would run with.
    ///
    /// Credentials are there only in the service, so they are taken to be where it shows them.
    static func load(
        file: String?,
        dataDirectory: String? = nil
    ) throws(SettingsError) -> Settings.Loaded {
        try Settings.loadWithOrigins(
            file: file,
            environment: ["CREDENTIALS_DIRECTORY": Doctor.credentialsDirectory],
            flags: SettingFlags(dataDirectory: dataDirectory)
        )
    }
}
