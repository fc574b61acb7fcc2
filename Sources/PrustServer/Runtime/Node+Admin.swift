import Glibc
import Logging
import NIOPosix
import PrustCore
import PrustStorage
import PrustSystemd
import PrustTLS
import PrustTelemetry
import Synchronization

/// What the admin API and the probes ask.
extension Node: AdminBackend {
    package func status() async -> StatusReport {
        let settings = self.settings
        let storage = self.engine.storage
        let engine = self.engine
        let keys = try? await self.diskThreads.runIfActive { try engine.countKeys() }
        let free = (try? storage?.freeByteCount()).flatMap { $0 }
        let report = self.engine.recoveryReport
        return StatusReport(
            version: BuildInfo.version,
            state: self.reportedState,
            nodeID: self.cluster.node,
            storageID: storage?.storageID.description ?? "",
            clusterID: self.cluster.clusterID,
            listen: settings.listen.description,
            advertise: settings.advertised.description,
            uptimeSeconds: Int(self.uptimeSeconds),
            connections: Int(self.serverMetrics.connection.open.value),
            storage: StatusReport.Storage(
                keys: keys ?? 0,
                segments: self.engine.segmentCount,
                bytes: self.engine.storedByteCount,
                freeBytes: free.map { Int(clamping: $0) },
                durableSequence: self.engine.durable
            ),
            replication: StatusReport.Replication(
                nodes: 1,
                factor: self.cluster.replicationFactor
            ),
            recovery: report.map { report in
                StatusReport.Recovery(
                    recordsReplayed: Int(clamping: report.recordCount),
                    tailBytesCut: Int(clamping: report.tornTail?.byteCount ?? 0),
                    corruptRecords: report.corruptRegions.count,
                    indexRebuilt: report.isNew ? nil : report.indexRebuilt,
                    milliseconds: Int(self.engine.recoverySeconds * 1_000)
                )
            },
            certificateNotAfter: self.state.withLock { $0.certificateNotAfter }
        )
    }

    private var uptimeSeconds: Int64 {
        (Clocks.monotonic().nanoseconds - self.startedAt.nanoseconds) / 1_000_000_000
    }

    private var reportedState: StatusReport.State {
        switch (self.phase, self.engine.state) {
        case (.starting, _): .recovering
        case (.stopping, _): .stopping
        case (.serving, .serving): .serving
        case (.serving, .diskFull): .diskFull
        case (.serving, .recovering), (.serving, .stopped): .logFailed
        }
    }

    package func limits() async -> [LimitReport] {
        let settings = self.settings
        let limits = settings.limits
        func limit(
            _ name: String,
            _ value: Int,
            _ unit: LimitReport.Unit,
            used: Int? = nil
        )
            -> LimitReport
        {
            LimitReport(name: name, value: value, unit: unit, used: used, setting: "limits.\(name)")
        }
        let use = self.engine.memoryUse
        return [
            limit(
                "connections",
                limits.connections,
                .count,
                used: Int(self.serverMetrics.connection.open.value)
            ),
            limit("connections-per-address", limits.connectionsPerAddress, .count),
            limit(
                "handshakes",
                limits.handshakes,
                .count,
                used: Int(self.serverMetrics.handshake.open.value)
            ),
            limit("pipeline", limits.pipeline, .count),
            limit("output-buffer", limits.outputBuffer, .bytes),
            limit("arguments", limits.arguments, .count),
            limit(
                "log-queue",
                limits.logQueue,
                .bytes,
                used: self.engine.queue.queuedByteCount.load(ordering: .relaxed)
            ),
            LimitReport(
                name: "cache",
                value: settings.memoryCache,
                unit: .bytes,
                used: use.cleanByteCount,
                setting: "memory.cache"
            ),
        ]
    }

    package func settings() async -> Settings.Loaded {
        self.state.withLock { $0.loaded }
    }

    package func reload() async throws(AdminFault) -> ReloadReport {
        // One at a time: the last to come reads the newest files, and must be the last to act.
        await self.reloading.enter()
        defer { self.reloading.leave() }
        self.notifier.notify(.reloading(at: Clocks.monotonic()), .status("reloading"))
        defer { self.notifier.notify(.ready, .status("serving on \(self.settings.listen)")) }
        do {
            let newer = try Settings.loadWithOrigins(
                file: self.reloadArguments.file,
                environment: ProcessVariables.all(),
                flags: self.reloadArguments.flags
            )
            let old = self.settings
            let reloaded = old.reloaded(from: newer)
            let context = try Self.makeContext(reloaded, node: self.cluster.node)
            try await self.accessStore.reload()
            self.contexts.replace(with: context)
            self.logLevel.level = Logger.Level(rawValue: reloaded.logLevel.rawValue) ?? .info
            self.verifier.setAttempts(perMinute: reloaded.authAttempts)
            self.state.withLock { state in
                state.loaded = Settings.Loaded(settings: reloaded, origins: newer.origins)
            }
            let isChanged = self.noteCertificate(context)
            let notAfter = self.state.withLock { $0.certificateNotAfter }
            self.logger.event(.reloaded, metadata: ["certificate-changed": "\(isChanged)"])
            return ReloadReport(
                changes: old.changes(to: newer.settings),
                certificateChanged: isChanged,
                certificateNotAfter: notAfter
            )
        } catch {
            let reason = "\(error)"
            self.logger.event(.reloadFailed, metadata: ["reason": "\(reason)"])
            throw AdminFault(status: 409, code: "reload-failed", message: reason)
        }
    }

    package func doctor() async -> [DoctorFinding] {
        let engine = self.engine
        let doctor = Doctor(settings: self.settings)
        let machine = try? await self.diskThreads.runIfActive {
            doctor.examine(now: Clocks.wall(), checksOwnLimits: true)
        }
        var findings = machine ?? []
        findings.append(self.logFinding())
        let problems = try? await self.diskThreads.runIfActive {
            try engine.storage?.index.verify() ?? ["the storage is not open"]
        }
        let isGood = problems?.isEmpty == true
        findings.append(
            DoctorFinding(
                check: "index",
                status: isGood ? .ok : .fail,
                message: isGood
                    ? "the index is sound"
                    : problems?.joined(separator: "; ") ?? "the index could not be read",
                advice: isGood ? nil : "restart the node: it rebuilds the index from the segments"
            )
        )
        return findings
    }

    private func logFinding() -> DoctorFinding {
        let latency = self.serverMetrics.log.syncSeconds.snapshot().quantile(0.99)
        let state = self.engine.state
        guard state == .serving else {
            return DoctorFinding(
                check: "log",
                status: .fail,
                message: self.engine.stateReason,
                advice: "free space on the disk or replace it; the node goes on by itself"
            )
        }
        let shown = latency.map { "\(Int($0 * 1_000_000)) us at the 99th percentile" }
        return DoctorFinding(
            check: "log",
            status: .ok,
            message: "serving; sync takes \(shown ?? "no time yet")"
        )
    }
}

extension Node: ProbeSource {
    package func metrics() -> String { self.serverMetrics.registry.exposition() }

    package func health() -> ProbeAnswer {
        let state = self.engine.state
        let isBroken = self.phase == .serving && state == .recovering
        return ProbeAnswer(isGood: !isBroken, text: isBroken ? self.engine.stateReason : "ok")
    }

    package func readiness() -> ProbeAnswer {
        switch self.phase {
        case .starting:
            let progress = self.reporter.progress
            return ProbeAnswer(isGood: false, text: progress.isEmpty ? "starting" : progress)
        case .stopping: return ProbeAnswer(isGood: false, text: "stopping")
        case .serving:
            switch self.engine.state {
            case .serving: return ProbeAnswer(isGood: true, text: "ok")
            case .diskFull:
                // Whoever reads is served, and what writes is told why not.
                return ProbeAnswer(isGood: true, text: "writes are refused: disk full")
            case .recovering, .stopped:
                return ProbeAnswer(isGood: false, text: self.engine.stateReason)
            }
        }
    }
}
