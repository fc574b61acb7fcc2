import ArgumentParser
import PrustServer

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows what a node is and how it does."
    )

    @OptionGroup var target: TargetOptions

    func run() async throws {
        let body = try await self.target.client().send("GET", "/v1/status")
        try self.target.show(StatusReport.self, body) { Self.text($0) }
    }

    private static func text(_ report: StatusReport) -> String {
        let storage = report.storage
        let now = MachineClock.nowSeconds()
        var facts: [(String, String)] = [
            ("state", report.state.rawValue),
            ("version", report.version),
            ("up for", TextTable.uptime(report.uptimeSeconds)),
            ("node ID", report.nodeID),
            ("storage ID", report.storageID),
            ("cluster ID", report.clusterID),
            ("listens on", report.listen),
            ("advertised as", report.advertise),
            ("connections", "\(report.connections)"),
            ("keys", "\(storage.keys) (estimate)"),
            ("segments", "\(storage.segments), \(TextTable.bytes(storage.bytes)) on disk"),
            ("durable up to", "\(storage.durableSequence)"),
            ("replication", "factor \(report.replication.factor), \(report.replication.note)"),
            ("certificate", TextTable.days(until: report.certificateNotAfter, now: now)),
        ]
        if let free = storage.freeBytes { facts.append(("free space", TextTable.bytes(free))) }
        if let recovery = report.recovery {
            var text = "\(recovery.recordsReplayed) records in \(recovery.milliseconds) ms"
            if recovery.tailBytesCut > 0 { text += ", \(recovery.tailBytesCut) torn bytes cut" }
            if recovery.corruptRecords > 0 { text += ", \(recovery.corruptRecords) CORRUPT" }
            if let reason = recovery.indexRebuilt { text += ", index rebuilt: \(reason)" }
            facts.append(("recovery", text))
        }
        return TextTable.facts(facts)
    }
}

struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Reads settings, certificates and users again, without a restart."
    )

    @OptionGroup var target: TargetOptions

    func run() async throws {
        let body = try await self.target.client().send("POST", "/v1/reload")
        try self.target.show(ReloadReport.self, body) { report in
            var lines = report.changes.map { change in
                let when = change.takesEffect ? "" : " (waits for a restart)"
                return "\(change.name): \(change.from) -> \(change.to)\(when)"
            }
            lines.append(
                report.certificateChanged
                    ? "the certificate was replaced" : "the certificate is the same as before"
            )
            return lines.joined(separator: "\n")
        }
    }
}

struct LimitsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "limits",
        abstract: "Lists every bound of a node, how much of it is used, and what changes it."
    )

    @OptionGroup var target: TargetOptions

    func run() async throws {
        let body = try await self.target.client().send("GET", "/v1/limits")
        try self.target.show([LimitReport].self, body) { reports in
            TextTable.text(
                ["LIMIT", "VALUE", "USED", "SETTING"],
                reports.map { report in
                    [
                        report.name, Self.text(report.value, report.unit),
                        report.used.map { Self.text($0, report.unit) } ?? "-",
                        report.setting ?? "fixed",
                    ]
                }
            )
        }
    }

    private static func text(_ value: Int, _ unit: LimitReport.Unit) -> String {
        switch unit {
        case .bytes: TextTable.bytes(value)
        case .count: "\(value)"
        case .milliseconds: "\(value) ms"
        }
    }
}
