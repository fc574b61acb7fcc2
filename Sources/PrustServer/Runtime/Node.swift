package import Logging
import NIOCore
import NIOPosix
import PrustCore
import PrustStorage
package import PrustSystemd
import PrustTLS
import PrustTelemetry
import Synchronization

/// One node: the composition root that joins engine, network, access and telemetry.
///
/// ``run()`` starts everything in order, serves until it is asked to stop, and ends everything in
/// the opposite order.
package final class Node: Sendable {
    package enum Phase: Sendable {
        case starting
        case serving
        case stopping
    }

    struct State {
        var phase = Phase.starting
        var loaded: Settings.Loaded
        var certificateNotAfter: Int64 = 0
        var certificateFingerprint = ""
    }

    let logger: Logger
    let logLevel: LogLevelControl
    let notifier = Notifier()
    let serverMetrics: ServerMetrics
    let reporter: EngineReporter
    let cluster: ClusterIdentity
    let engine: Engine
    let accessStore: AccessStore
    let verifier: PasswordVerifier
    let audit: LogAuditSink
    let diskThreads: NIOThreadPool
    let group: MultiThreadedEventLoopGroup
    let limiter: ConnectionLimiter
    let contexts: TLSContextHolder
    let sockets: [ListenSocket]
    let startedAt = Clocks.monotonic()
    let reloadArguments: ReloadArguments
    let reloading = Turnstile()
    let state: Mutex<State>

    /// Where settings come from, so that a reload reads them again.
    package struct ReloadArguments: Sendable {
        package var file: String?
        package var flags: SettingFlags

        package init(file: String?, flags: SettingFlags) {
            self.file = file
            self.flags = flags
        }
    }

    /// Makes a node from checked settings; nothing runs and no file is opened for writing yet.
    package init(
        loaded: Settings.Loaded,
        reloadArguments: ReloadArguments,
        logger: Logger,
        logLevel: LogLevelControl,
        sockets: [ListenSocket]
    ) throws {
        let settings = loaded.settings
        self.logger = logger
        self.logLevel = logLevel
        self.sockets = sockets
        self.reloadArguments = reloadArguments
        let registry = MetricsRegistry()
        self.serverMetrics = ServerMetrics(registry: registry)
        self.reporter = EngineReporter(
            metrics: self.serverMetrics,
            logger: logger,
            notifier: Notifier()
        )
        self.cluster = try ClusterIdentity.load(dataDirectory: settings.dataDirectory)
        self.engine = Engine(
            options: try Self.engineOptions(settings, self.cluster),
            fileSystem: PosixFileSystem(),
            hashSeed: UInt64.random(in: .min ... .max),
            observer: self.reporter
        )
        let directory = DataDirectory(settings.dataDirectory)
        self.accessStore = try AccessStore(file: AccessFile(path: directory.access))
        self.verifier = PasswordVerifier(attemptsPerMinute: settings.authAttempts)
        self.audit = LogAuditSink(logger: logger)
        self.diskThreads = NIOThreadPool(numberOfThreads: settings.server.diskThreads)
        let loopCount =
            settings.server.threads > 0 ? settings.server.threads : max(1, System.coreCount - 1)
        self.group = MultiThreadedEventLoopGroup(numberOfThreads: loopCount)
        self.limiter = ConnectionLimiter(
            countMax: settings.limits.connections,
            countPerAddressMax: settings.limits.connectionsPerAddress
        )
        let context = try Self.makeContext(settings, node: self.cluster.node)
        self.contexts = TLSContextHolder(context)
        self.state = Mutex(State(loaded: loaded))
        self.noteCertificate(context)
        self.registerGauges(registry)
    }

    var settings: Settings { self.state.withLock { $0.loaded.settings } }
    var phase: Phase { self.state.withLock { $0.phase } }

    private static func engineOptions(
        _ settings: Settings,
        _ cluster: ClusterIdentity
    ) throws -> Engine.Options {
        var storage = StorageOptions(
            newStorageID: try StorageID.random(),
            createdAt: Clocks.wall()
        )
        storage.segmentByteCount = settings.storage.segmentSize
        storage.compressionLevel =
            settings.storage.compression == .zstd
            ? Int32(clamping: settings.storage.compressionLevel) : nil
        storage.refusesCorruption = settings.storage.onDamage == .refuse
        storage.allowMissingSegments = settings.storage.onMissingSegments == .serve
        storage.indexCacheByteCount = settings.storage.indexCache
        var options = Engine.Options(directory: settings.dataDirectory, storage: storage)
        options.partitionBitCount = cluster.partitionBits
        options.cacheByteCount = settings.memoryCache
        options.sweepEntryCount = settings.storage.sweepEntries
        options.queueByteCountMax = settings.limits.logQueue
        options.diskThreadCount = settings.server.diskThreads
        return options
    }

    /// Reads certificate, key and authorities and checks that they are this node's.
    static func makeContext(_ settings: Settings, node: String) throws -> TLSContext {
        let material = try TLSMaterial.load(
            certificateFile: settings.tls.certificate,
            keyFile: settings.tls.key,
            caFile: settings.tls.authority,
            role: .node,
            now: Clocks.wall()
        )
        guard let certificate = material.certificate,
            case .some(.node(let name)) = certificate.identity,
            "\(name)" == node
        else {
            throw StartError(
                "\(settings.tls.certificate): it is the certificate of another node, expected "
                    + "prustdb://node/\(node)"
            )
        }
        return try TLSContext.server(
            material: material,
            applicationProtocols: ProtocolSelector.applicationProtocols,
            clientCertificates: settings.tls.clientCertificates == .required
                ? .required : .optional
        )
    }

    /// Keeps what the metrics say of the certificate; returns whether it is another one.
    @discardableResult
    func noteCertificate(_ context: TLSContext) -> Bool {
        guard let certificate = context.material.certificate else { return false }
        return self.state.withLock { state in
            let isNew = state.certificateFingerprint != certificate.fingerprint
            state.certificateFingerprint = certificate.fingerprint
            state.certificateNotAfter = certificate.notAfter
            return isNew
        }
    }

    private func registerGauges(_ registry: MetricsRegistry) {
        registry.registerProcessMetrics()
        registry.registerBuildInfo("prustdb_build_info", labels: ["version": BuildInfo.version])
        NodeGauges.register(self, registry)
    }
}
