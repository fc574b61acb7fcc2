package import PrustTelemetry

/// What is counted of the log.
package struct LogMetrics: Sendable {
    package let appends: Counter
    package let failures: Counter
    package let syncs: Counter
    package let syncSeconds: Histogram
    package let groupRecords: Histogram
    package let groupBytes: Histogram

    init(_ registry: MetricsRegistry) {
        self.appends = registry.counter(
            "prustdb_log_appends_total",
            help: "Records made durable."
        )
        self.failures = registry.counter(
            "prustdb_log_failures_total",
            help: "Times that the log could not be written."
        )
        self.syncs = registry.counter(
            "prustdb_log_syncs_total",
            help: "Groups of records made durable by one fdatasync."
        )
        self.syncSeconds = registry.histogram(
            "prustdb_log_sync_duration_seconds",
            help: "Duration of writing and syncing a group of records.",
            scale: .seconds
        )
        self.groupRecords = registry.histogram(
            "prustdb_log_group_records",
            help: "Records of a group.",
            scale: .count
        )
        self.groupBytes = registry.histogram(
            "prustdb_log_group_bytes",
            help: "Bytes of a group.",
            scale: .bytes
        )
    }
}
