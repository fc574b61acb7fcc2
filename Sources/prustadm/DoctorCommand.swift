import ArgumentParser
import PrustServer

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Looks for what is wrong or soon will be, and says what to do.",
        discussion: """
            Asks the running node; when it cannot be reached, examines this machine and the data \
            directory itself: those of --data-dir or --config, or else of the service. Ends with 1 \
            when a check failed.
            """
    )

    @OptionGroup var target: TargetOptions

    @Option(
        help: """
            Settings file, for an examination without the node. Default: \
            \(BootstrapCommand.defaultConfig)
            """
    )
    var config: String?

    func run() async throws {
        let findings: [DoctorFinding]
        do {
            let body = try await self.target.client().send("GET", "/v1/doctor")
            guard let answer = AdminJSON.decodeAnswer([DoctorFinding].self, from: body) else {
                throw CommandFailure(.failed, "the node's answer cannot be read")
            }
            // The sandbox hides the clock from the node; it is the clock of this machine, too.
            let isHere = self.target.node == nil
            findings = answer.map { isHere && $0.check == "clock" ? Doctor.clock() : $0 }
        } catch let failure as AdminClient.Failure where failure.kind == .cannotReach {
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
        let directory = self.target.dataDir
        // Whoever names another place does not mean the service of this machine.
        let isElsewhere = self.target.node != nil || self.target.socket != nil
        let file =
            isElsewhere
            ? self.config : OfflineSettings.file(config: self.config, dataDirectory: directory)
        guard file != nil || directory != nil else { throw failure }
        let settings = try OfflineSettings.load(file: file, dataDirectory: directory).settings
        let away = DoctorFinding(
            check: "daemon",
            status: .warn,
            message: "\(failure)",
            advice: "systemctl start prustdb, then systemctl status prustdb"
        )
        let doctor = Doctor(settings: settings)
        return [away]
            + doctor.examineOffline(now: MachineClock.now(), checksPorts: file != nil)
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
