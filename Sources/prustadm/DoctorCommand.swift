import ArgumentParser
import PrustServer

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Looks for what is wrong or soon will be, and says what to do.",
        discussion: """
            Asks the running node; when it cannot be reached, examines the machine and the data \
            directory itself (--data-dir or --config). Ends with 1 when a check failed.
            """
    )

    @OptionGroup var target: TargetOptions

    @Option(help: "Settings file, for an examination without the node.")
    var config: String?

    func run() async throws {
        let findings: [DoctorFinding]
        do {
            let body = try await self.target.client().send("GET", "/v1/doctor")
            guard let answer = AdminJSON.decodeAnswer([DoctorFinding].self, from: body) else {
                throw CommandFailure(.failed, "the node's answer cannot be read")
            }
            findings = answer
        } catch let failure as AdminClient.Failure where failure.kind == .cannotReach {
            guard self.config != nil || self.target.dataDir != nil else { throw failure }
            findings = try self.examine(failure)
        }
        if self.target.json {
            Console.print(json: AdminJSON.encode(findings))
        } else {
            Console.print(Self.text(findings))
        }
        let failed = findings.filter { $0.status == .fail }.count
        guard failed == 0 else {
            throw CommandFailure(.failed, "\(failed) of \(findings.count) checks failed")
        }
    }

    private func examine(_ failure: AdminClient.Failure) throws -> [DoctorFinding] {
        var flags = SettingFlags()
        flags.dataDirectory = self.target.dataDir
        let settings = try Settings.load(file: self.config, environment: [:], flags: flags)
        let away = DoctorFinding(
            check: "daemon",
            status: .warn,
            message: "\(failure)",
            advice: "systemctl start prustdb, then systemctl status prustdb"
        )
        return [away]
            + Doctor(settings: settings).examine(now: MachineClock.now(), checksOwnLimits: false)
    }

    private static func text(_ findings: [DoctorFinding]) -> String {
        let width = findings.map(\.check.count).max() ?? 0
        return findings.map { finding in
            let mark = "\(finding.status.rawValue)  ".prefix(4)
            let name =
                finding.check
                + String(repeating: " ", count: width - finding.check.count)
            let advice = finding.advice.map { "\n      -> \($0)" } ?? ""
            return "\(mark)  \(name)  \(finding.message)\(advice)"
        }.joined(separator: "\n")
    }
}
