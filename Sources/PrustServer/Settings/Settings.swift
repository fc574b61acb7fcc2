/// Everything about a node that an operator can choose; the names in files are those of
/// ``SettingTable``, where bounds, defaults and documentation stand.
package struct Settings: Equatable, Sendable {
    package struct TLS: Equatable, Sendable {
        package enum ClientCertificates: String, CaseIterable, Sendable {
            case optional
            case required
        }

        /// Path of the certificate chain; empty until ``Settings/load(file:environment:flags:)``
        /// has put the file of the data directory here.
        package var certificate = ""
        package var key = ""
        package var authority = ""
        package var handshakeTimeout = Duration.zero
        package var clientCertificates = ClientCertificates.optional
    }

    package struct Server: Equatable, Sendable {
        /// Event loops; 0 is one a core but one, or one.
        package var threads = 0
        package var diskThreads = 0
    }

    package struct Limits: Equatable, Sendable {
        package var connections = 0
        package var connectionsPerAddress = 0
        package var handshakes = 0
        package var pipeline = 0
        package var outputBuffer = 0
        package var idleTimeout = Duration.zero
        package var loginTimeout = Duration.zero
        package var stallTimeout = Duration.zero
        package var outputTotal = 0
        package var arguments = 0
        package var logQueue = 0
    }

    package struct Storage: Equatable, Sendable {
        package enum Compression: String, CaseIterable, Sendable {
            case none
            case zstd
        }

        /// What to do with a directory that has lost something.
        package enum Loss: String, CaseIterable, Sendable {
            case serve
            case refuse
        }

        package var segmentSize = 0
        package var onDamage = Loss.serve
        package var onMissingSegments = Loss.refuse
        package var compression = Compression.none
        package var compressionLevel = 0
        package var sweepEntries = 0
        package var indexCache = 0
    }

    package struct Cluster: Equatable, Sendable {
        /// P at bootstrap: the cluster has 2^P partitions for ever.
        package var partitionBits = 0
        package var replicationFactor = 0
    }

    package enum LogLevel: String, CaseIterable, Sendable {
        case trace
        case debug
        case info
        case notice
        case warning
        case error
        case critical
    }

    package var dataDirectory = ""
    package var listen = Endpoint(host: "127.0.0.1", port: 8000)
    package var advertise: Endpoint?
    package var metricsListen = Endpoint(host: "127.0.0.1", port: 9808)
    package var adminSocket = ""
    package var tls = TLS()
    package var server = Server()
    package var limits = Limits()
    package var storage = Storage()
    /// Bytes of the cache of values.
    package var memoryCache = 0
    package var shutdownDrainTimeout = Duration.zero
    package var logLevel = LogLevel.info
    /// Wrong passwords a minute for one address and name.
    package var authAttempts = 0
    package var cluster = Cluster()

    /// Where clients reach the node: `advertise`, or `listen` when nothing was said.
    package var advertised: Endpoint { self.advertise ?? self.listen }

    /// Every setting at its default; ``dataDirectory`` is empty.
    package static let defaults: Settings = {
        var settings = Settings()
        for key in SettingTable.all {
            if let value = key.defaultValue { key.write(&settings, value) }
        }
        return settings
    }()
}
