/// Every setting, declared once: reading, checking, `prustadm config show` and
/// `Docs/ops/settings.md` all come from here.
package enum SettingTable {
    package static let all: [SettingKey] =
        Self.node + Self.tls + Self.server + Self.limits + Self.storage + Self.operation

    package static let byName: [String: SettingKey] = Dictionary(
        Self.all.map { ($0.name, $0) },
        uniquingKeysWith: { first, _ in first }
    )

    /// Variables that begin with `PRUSTDB_` and are no settings.
    package static let foreignVariables: Set<String> = ["PRUSTDB_PROFILE"]

    /// Settings that a file must hold.
    package static let requiredInFile = ["listen", "advertise"]

    private static let second = Duration.seconds(1)
    private static let hour = Duration.seconds(3_600)
    private static let day = Duration.seconds(86_400)
    private static let kibibyte = 1 << 10
    private static let mebibyte = 1 << 20
    private static let gibibyte = 1 << 30
    private static let tebibyte = 1 << 40

    private static let node: [SettingKey] = [
        .path(
            "data-dir",
            \.dataDirectory,
            derivedDefault: nil,
            "Directory of identity, segments and index. Required; one process a directory."
        ),
        .endpoint(
            "listen",
            \.listen,
            default: Endpoint(host: "127.0.0.1", port: 8_000),
            "Address of the TLS port for clients, admin API and other nodes. Required in a file."
        ),
        SettingKey(
            name: "advertise",
            kind: .endpoint(portMin: 1),
            derivedDefault: "the address of `listen`",
            summary:
                "Address under which clients and other nodes reach this node. Required in a file.",
            write: { if case .endpoint(let value) = $1 { $0.advertise = value } },
            read: { $0.advertise.map { .endpoint($0) } }
        ),
        .endpoint(
            "metrics.listen",
            \.metricsListen,
            default: Endpoint(host: "127.0.0.1", port: 9_808),
            "Address of the plain HTTP listener with `/metrics`, `/healthz` and `/readyz`."
        ),
        .path(
            "admin.socket",
            \.adminSocket,
            derivedDefault: "`<data-dir>/admin.sock`",
            "Unix socket of the admin API; its file permissions (0660) decide who may use it."
        ),
    ]

    private static let tls: [SettingKey] = [
        .path(
            "tls.certificate",
            \.tls.certificate,
            derivedDefault: "`<data-dir>/identity/node.crt`",
            "Certificate chain of the node (PEM), or `credential:NAME` for a systemd credential."
        ).reloadable(),
        .path(
            "tls.key",
            \.tls.key,
            derivedDefault: "`<data-dir>/identity/node.key`",
            "Private key of the node (PEM, mode 0600), or `credential:NAME`."
        ).reloadable(),
        .path(
            "tls.ca",
            \.tls.authority,
            derivedDefault: "`<data-dir>/identity/ca.crt`",
            "Certificates (PEM) that may sign those of clients and nodes, or `credential:NAME`."
        ).reloadable(),
        .duration(
            "tls.handshake-timeout",
            \.tls.handshakeTimeout,
            Self.second...(Self.second * 60),
            default: Self.second * 10,
            "Time that a connection has for its TLS handshake."
        ),
        .choice(
            "tls.client-certificates",
            \.tls.clientCertificates,
            default: .optional,
            "With `required`, a connection without a client certificate is refused in the "
                + "handshake; with `optional`, it must authenticate with AUTH."
        ),
    ]

    private static let server: [SettingKey] = [
        .integer(
            "server.threads",
            \.server.threads,
            0...256,
            default: 0,
            "Event loops; 0 is one a core but one, which is left to the log's writer and the disk."
        ),
        .integer(
            "server.disk-threads",
            \.server.diskThreads,
            1...64,
            default: 4,
            "Threads that read values from the disk."
        ),
    ]

    private static let limits: [SettingKey] = [
        .integer(
            "limits.connections",
            \.limits.connections,
            1...1_000_000,
            default: 20_000,
            "Connections at one time; one more is closed at once."
        ),
        .integer(
            "limits.connections-per-address",
            \.limits.connectionsPerAddress,
            1...1_000_000,
            default: 10_000,
            "Connections at one time from one address (of IPv6: from one /64)."
        ),
        .integer(
            "limits.handshakes",
            \.limits.handshakes,
            1...100_000,
            default: 512,
            "TLS handshakes at one time; for one more the oldest is closed."
        ),
        .integer(
            "limits.pipeline",
            \.limits.pipeline,
            1...1_000_000,
            default: 10_000,
            "Commands of one connection that may wait for their reply; then nothing more is read."
        ),
        .size(
            "limits.output-buffer",
            \.limits.outputBuffer,
            (32 * Self.mebibyte)...(16 * Self.gibibyte),
            default: 64 * Self.mebibyte,
            "Bytes of one reply, and of replies that may wait for a client; then it is not read from."
        ),
        .size(
            "limits.output-total",
            \.limits.outputTotal,
            (64 * Self.mebibyte)...(1024 * Self.gibibyte),
            default: Self.gibibyte,
            "Bytes of replies that wait for all clients; above, those with the most are closed."
        ),
        .duration(
            "limits.stall-timeout",
            \.limits.stallTimeout,
            .zero...(Self.day * 30),
            default: .seconds(60),
            "A client that takes nothing of its replies for so long is closed; 0s is never."
        ),
        .duration(
            "limits.login-timeout",
            \.limits.loginTimeout,
            .zero...(Self.day * 30),
            default: .seconds(30),
            "A client that is not logged in so long after connecting is closed; 0s is never."
        ),
        .duration(
            "limits.idle-timeout",
            \.limits.idleTimeout,
            .zero...(Self.day * 30),
            default: .zero,
            "A connection on which nothing happened for so long is closed; 0s is never."
        ),
        .integer(
            "limits.arguments",
            \.limits.arguments,
            16...65_536,
            default: 65_536,
            "Arguments of one command."
        ),
        .size(
            "limits.log-queue",
            \.limits.logQueue,
            (32 * Self.mebibyte)...(16 * Self.gibibyte),
            default: 256 * Self.mebibyte,
            "Bytes of writes that may wait for the disk; then connections are not read from."
        ),
    ]

    private static let storage: [SettingKey] = [
        .size(
            "storage.segment-size",
            \.storage.segmentSize,
            (64 * Self.mebibyte)...Self.gibibyte,
            default: 256 * Self.mebibyte,
            "Bytes after which a segment is sealed and the next begun."
        ),
        .choice(
            "storage.compression",
            \.storage.compression,
            default: .zstd,
            "How values are stored."
        ),
        .choice(
            "storage.on-damage",
            \.storage.onDamage,
            default: .serve,
            "Records that are damaged at a start: serve what is left, or refuse to start."
        ),
        .choice(
            "storage.on-missing-segments",
            \.storage.onMissingSegments,
            default: .refuse,
            "Segments that are gone at a start: refuse to start, or serve what is left."
        ),
        .integer(
            "storage.compression-level",
            \.storage.compressionLevel,
            1...19,
            default: 1,
            "Level of zstd: higher is smaller and slower."
        ),
        .integer(
            "storage.sweep-entries",
            \.storage.sweepEntries,
            1_000...100_000_000,
            default: 200_000,
            "Index entries that are gathered in memory before they go to the index in one batch."
        ),
        .size(
            "storage.index-cache",
            \.storage.indexCache,
            Self.mebibyte...Self.tebibyte,
            default: 64 * Self.mebibyte,
            "Bytes of the page cache of the index."
        ),
        .size(
            "memory.cache",
            \.memoryCache,
            Self.mebibyte...(16 * Self.tebibyte),
            default: 256 * Self.mebibyte,
            "Bytes of the cache of values in memory."
        ),
    ]

    private static let operation: [SettingKey] = [
        .duration(
            "shutdown.drain-timeout",
            \.shutdownDrainTimeout,
            .zero...Self.hour,
            default: Self.second * 10,
            "Time that connections have to end when the node stops."
        ).reloadable(),
        .choice(
            "log.level",
            \.logLevel,
            default: .info,
            "Least level of messages that are logged; the audit trail is always written."
        ).reloadable(),
        .integer(
            "auth.attempts",
            \.authAttempts,
            1...10_000,
            default: 10,
            "Wrong passwords a minute for an address and name; ten times for either alone."
        ).reloadable(),
        .integer(
            "cluster.partition-bits",
            \.cluster.partitionBits,
            0...20,
            default: 10,
            "P: the cluster has 2^P partitions. Read when the cluster is founded, fixed afterwards."
        ),
        .integer(
            "cluster.replication-factor",
            \.cluster.replicationFactor,
            1...7,
            default: 3,
            "Copies of every key (as many as there are nodes until then). Read at founding."
        ),
    ]
}
