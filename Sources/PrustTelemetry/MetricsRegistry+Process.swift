extension MetricsRegistry {
    /// Registers what Prometheus' client libraries say of a process, under their names.
    package func registerProcessMetrics() {
        self.counter(
            "process_cpu_seconds_total",
            help: "Total user and system CPU time spent in seconds."
        ) { ProcessStatistics.cpuSeconds() }
        self.registerProcess(
            "process_resident_memory_bytes",
            help: "Resident memory size in bytes."
        ) { ProcessStatistics.status(.residentMemory) }
        self.registerProcess(
            "process_resident_anonymous_memory_bytes",
            help: "Resident memory that belongs to no file, in bytes."
        ) { ProcessStatistics.status(.anonymousMemory) }
        self.registerProcess(
            "process_virtual_memory_bytes",
            help: "Virtual memory size in bytes."
        ) { ProcessStatistics.status(.virtualMemory) }
        self.registerProcess("process_threads", help: "Number of threads of the process.") {
            ProcessStatistics.status(.threads)
        }
        self.registerProcess("process_open_fds", help: "Number of open file descriptors.") {
            ProcessStatistics.openFileCount()
        }
        self.registerProcess(
            "process_max_fds",
            help: "Maximum number of open file descriptors."
        ) { ProcessStatistics.openFileCountMax() }
        let start = ProcessStatistics.startTime()
        self.registerProcess(
            "process_start_time_seconds",
            help: "Start time of the process since unix epoch in seconds."
        ) { start }
    }

    private func registerProcess(
        _ name: String,
        help: String,
        read: @escaping @Sendable () -> Double?
    ) {
        self.gauges(name, help: help) {
            read().map { [MetricSample(labels: [:], value: $0)] } ?? []
        }
    }
}
