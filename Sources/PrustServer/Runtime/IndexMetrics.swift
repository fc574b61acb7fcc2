package import PrustTelemetry

/// What is counted of the index and of reads from the disk.
package struct IndexMetrics: Sendable {
    package let sweeps: Counter
    package let sweptRecords: Counter
    package let sweepSeconds: Histogram
    package let sweepFailures: Counter
    package let corruptReads: Counter
    package let readFailures: Counter

    init(_ registry: MetricsRegistry) {
        self.sweeps = registry.counter(
            "prustdb_index_sweeps_total",
            help: "Sweeps of records into the index."
        )
        self.sweptRecords = registry.counter(
            "prustdb_index_swept_records_total",
            help: "Records swept into the index."
        )
        self.sweepSeconds = registry.histogram(
            "prustdb_index_sweep_duration_seconds",
            help: "Duration of sweeps.",
            scale: .seconds
        )
        self.sweepFailures = registry.counter(
            "prustdb_index_sweep_failures_total",
            help: "Sweeps that failed; they are repeated."
        )
        self.corruptReads = registry.counter(
            "prustdb_storage_corrupt_reads_total",
            help: "Reads that met a corrupt record."
        )
        self.readFailures = registry.counter(
            "prustdb_storage_read_failures_total",
            help: "Reads from the disk that failed."
        )
    }
}
