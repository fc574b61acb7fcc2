import PrustCore
import PrustStorage
import PrustTelemetry
import Synchronization

/// Values that are read when metrics are scraped.
enum NodeGauges {
    static func register(_ node: Node, _ registry: MetricsRegistry) {
        let engine = node.engine
        registry.gauge("prustdb_ready", help: "1 while the node serves requests.") {
            [weak node] in node?.phase == .serving && engine.state == .serving ? 1 : 0
        }
        registry.gauge(
            "prustdb_certificate_expiry_timestamp_seconds",
            help: "Unix time at which the node's certificate expires."
        ) { [weak node] in Double(node?.state.withLock { $0.certificateNotAfter } ?? 0) }
        Self.registerMemory(engine, registry)
        Self.registerStorage(engine, registry)
        Self.registerLimits(node, registry)
    }

    private static func registerMemory(_ engine: Engine, _ registry: MetricsRegistry) {
        registry.gauge("prustdb_memtable_records", help: "Records not yet in the index.") {
            Double(engine.memoryUse.dirtyCount)
        }
        registry.gauge("prustdb_memtable_bytes", help: "Bytes of records not yet in the index.") {
            Double(engine.memoryUse.dirtyByteCount)
        }
        registry.gauge("prustdb_cache_records", help: "Records of the read cache.") {
            Double(engine.memoryUse.cleanCount)
        }
        registry.gauge("prustdb_cache_bytes", help: "Bytes of the read cache.") {
            Double(engine.memoryUse.cleanByteCount)
        }
        registry.counter("prustdb_cache_evictions_total", help: "Records evicted.") {
            Double(engine.memoryUse.evictionCount)
        }
        registry.counter(
            "prustdb_cache_misses_total",
            help: "Records looked for on the disk for a command."
        ) { Double(engine.loadCount.load(ordering: .relaxed)) }
        registry.gauge("prustdb_log_queue_bytes", help: "Bytes that wait for the log.") {
            Double(engine.queue.queuedByteCount.load(ordering: .relaxed))
        }
    }

    private static func registerStorage(_ engine: Engine, _ registry: MetricsRegistry) {
        registry.gauge("prustdb_storage_state", help: "0 serving, 1 recovering, 2 disk full.") {
            Double(engine.state.rawValue)
        }
        registry.gauge("prustdb_index_keys", help: "Live keys of the index.") {
            Double(engine.storage?.index.count ?? 0)
        }
        registry.gauge("prustdb_index_bytes", help: "Bytes of the index on disk.") {
            Double(engine.storage?.index.byteCount ?? 0)
        }
        registry.gauge("prustdb_segments", help: "Segments of the log, the active one included.") {
            Double(engine.segmentCount)
        }
        registry.gauge("prustdb_storage_free_bytes", help: "Free bytes of the file system.") {
            guard let free = try? engine.storage?.freeByteCount() else { return 0 }
            return Double(free)
        }
        registry.counter(
            "prustdb_log_raw_bytes_total",
            help: "Bytes of values before compression."
        ) { Double(engine.logCounters.rawByteCount) }
        registry.counter(
            "prustdb_log_stored_bytes_total",
            help: "Bytes of values as they were stored."
        ) { Double(engine.logCounters.storedByteCount) }
        registry.gauge(
            "prustdb_recovery_records",
            help: "Records that the last start replayed."
        ) { Double(engine.recoveryReport?.recordCount ?? 0) }
        registry.gauge(
            "prustdb_recovery_corrupt_regions",
            help: "Corrupt regions that the last start found."
        ) { Double(engine.recoveryReport?.corruptRegions.count ?? 0) }
        registry.gauge(
            "prustdb_recovery_duration_seconds",
            help: "Duration of the last start's recovery."
        ) { engine.recoverySeconds }
    }

    private static func registerLimits(_ node: Node, _ registry: MetricsRegistry) {
        registry.gauges("prustdb_limit", help: "Bounds that settings choose, by name.") {
            [weak node] in
            guard let limits = node?.settings.limits else { return [] }
            return [
                MetricSample(labels: ["name": "connections"], value: Double(limits.connections)),
                MetricSample(
                    labels: ["name": "connections-per-address"],
                    value: Double(limits.connectionsPerAddress)
                ),
                MetricSample(labels: ["name": "handshakes"], value: Double(limits.handshakes)),
                MetricSample(labels: ["name": "pipeline"], value: Double(limits.pipeline)),
                MetricSample(labels: ["name": "output-buffer"], value: Double(limits.outputBuffer)),
                MetricSample(labels: ["name": "log-queue"], value: Double(limits.logQueue)),
            ]
        }
    }
}
