import Foundation
import Testing

/// Checks the files of `deploy/systemd` with systemd's own tools.
@Suite struct UnitFileTests {
    static let folder = JournalCatalogTests.root.appending(path: "deploy/systemd")
    static let analyze = "/usr/bin/systemd-analyze"

    static let isInstalled: Bool = {
        let found = FileManager.default.isExecutableFile(atPath: Self.analyze)
        if !found { print("skipped: \(Self.analyze) is not installed (Debian package systemd)") }
        return found
    }()

    @Test(.enabled(if: Self.isInstalled))
    func exposureIsAtMostOnePointTwo() throws {
        let unit = Self.folder.appending(path: "prustdb.service").path()
        let (status, output) = try Self.run("security", "--offline=true", "--threshold=12", unit)
        #expect(status == 0, "\(output)")
    }

    /// Programs that are not installed here are replaced by one that is.
    @Test(.enabled(if: Self.isInstalled))
    func verifyIsSilent() throws {
        let copies = FileManager.default.temporaryDirectory.appending(path: "prust-units-\(UUID())")
        defer { try? FileManager.default.removeItem(at: copies) }
        try FileManager.default.createDirectory(at: copies, withIntermediateDirectories: true)
        var paths: [String] = []
        for name in ["prustdb.service", "prustdb.socket", "prustdb-metrics.socket"] {
            let text = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
            let copy = copies.appending(path: name)
            let replaced = text.replacing(/\/usr\/bin\/(prustdb|prustadm)/, with: "/usr/bin/env")
            try Data(replaced.utf8).write(to: copy)
            paths.append(copy.path())
        }
        let (status, output) = try Self.run(["verify", "--man=no"] + paths)
        #expect(status == 0)
        #expect(output == "")
    }

    @Test func theUnitHasWhatTheDocumentationPromises() throws {
        let unit = Self.folder.appending(path: "prustdb.service")
        let lines = try String(contentsOf: unit, encoding: .utf8).split(separator: "\n")
        for line in [
            "Type=notify", "User=prustdb", "Restart=always", "StateDirectoryMode=0700",
            "RuntimeDirectoryMode=0750", "ExecReload=/usr/bin/prustadm reload",
            "ExecStart=/usr/bin/prustdb --config /etc/prustdb/prustdb.yaml",
        ] {
            #expect(lines.contains(Substring(line)), "\(line)")
        }
        #expect(lines.contains { $0.hasPrefix("WatchdogSec=") })
    }

    static func run(_ arguments: String...) throws -> (status: Int32, output: String) {
        try Self.run(arguments)
    }

    static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: Self.analyze)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}
