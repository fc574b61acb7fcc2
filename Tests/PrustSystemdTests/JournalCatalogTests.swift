import Foundation
import PrustSystemd
import Testing

@Suite struct JournalCatalogTests {
    static let root = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static let file = Self.root.appending(path: "deploy/systemd/prustdb.catalog")

    @Test func theFileIsThatOfTheEvents() throws {
        if ProcessInfo.processInfo.environment["PRUSTDB_WRITE_CATALOG"] == "1" {
            try Data(JournalCatalog.text().utf8).write(to: Self.file)
        }
        let text = try String(contentsOf: Self.file, encoding: .utf8)
        #expect(
            text == JournalCatalog.text(),
            """
            deploy/systemd/prustdb.catalog is not that of the events; make it anew with \
            PRUSTDB_WRITE_CATALOG=1 swift test --filter JournalCatalogTests
            """
        )
    }

    @Test func codesAndMessageIDsAreUniqueAndWellFormed() throws {
        let events = JournalEvent.all
        #expect(events.map(\.code) == events.map(\.code).sorted())
        #expect(Set(events.map(\.code)).count == events.count)
        #expect(Set(events.map(\.messageID)).count == events.count)
        #expect(Set(events.map(\.message)).count == events.count)
        for event in events {
            #expect(event.code.wholeMatch(of: /PDB[0-9]{4}/) != nil)
            #expect(event.messageID.wholeMatch(of: /[0-9a-f]{32}/) != nil)
            #expect(!event.message.isEmpty && !event.message.hasSuffix("."))
            #expect(event.explanation.hasSuffix(".") && event.remedy.hasSuffix("."))
            #expect(JournalEvent.find(code: event.code) == event)
            #expect(event.isAudit == event.code.hasPrefix("PDB03"))
        }
        #expect(JournalEvent.find(code: "PDB9999") == nil)
    }

    @Test func everyEventIsInTheList() throws {
        let folder = Self.root.appending(path: "Sources/PrustSystemd")
        var count = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path())
        where name.hasPrefix("JournalEvent+") {
            let text = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
            count += text.matches(of: /= JournalEvent\(/).count
        }
        #expect(count == JournalEvent.all.count)
    }

    /// An event that nobody writes is one that an operator waits for in vain.
    @Test func everyEventIsWrittenSomewhere() throws {
        var written: Set<Substring> = []
        let server = Self.root.appending(path: "Sources/PrustServer")
        let enumerator = FileManager.default.enumerator(atPath: server.path())
        while let name = enumerator?.nextObject() as? String {
            guard name.hasSuffix(".swift") else { continue }
            let text = try String(contentsOf: server.appending(path: name), encoding: .utf8)
            let words = text.split { !$0.isLetter && !$0.isNumber && $0 != "." }
            // Either `logger.event(.name` or a member that is chosen where the type is known.
            let choosesEvents = words.contains { $0.hasPrefix("JournalEvent") }
            for (word, next) in zip(words, words.dropFirst())
            where next.hasPrefix(".") && (choosesEvents || word.hasSuffix(".event")) {
                written.insert(next.dropFirst())
            }
        }
        for event in try Self.declaredEvents() {
            let isWritten = written.contains(event)
            #expect(isWritten, "nothing in PrustServer writes JournalEvent.\(event)")
        }
    }

    /// Names of the events, as `Sources/PrustSystemd` declares them.
    private static func declaredEvents() throws -> [Substring] {
        let folder = Self.root.appending(path: "Sources/PrustSystemd")
        var names: [Substring] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path())
        where name.hasPrefix("JournalEvent+") {
            let text = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
            names += text.matches(of: /let (\w+) = JournalEvent\(/).map { $0.output.1 }
        }
        #expect(names.count == JournalEvent.all.count)
        return names
    }

    /// Message IDs that were given out: filters and catalogs of others go by them.
    ///
    /// Lines are only ever added here.
    static let givenOut: [(code: String, messageID: String)] = [
        ("PDB0001", "7e06b00abd1c492391b8beeda42402af"),
        ("PDB0002", "b617ddadd47a48449b7dca15a2768efb"),
        ("PDB0003", "20709330bf624f23b270ac35a3388b6b"),
        ("PDB0004", "b0c4755cdb714098809a288c0c72c8de"),
        ("PDB0005", "c4b03748933646199e6b96ab4674d03c"),
        ("PDB0006", "b894e916fd9145ff993862670a6d2551"),
        ("PDB0007", "5a1d33d76aaa4c309cc13265bbc65258"),
        ("PDB0008", "0b576b17f27e47bab76ffa996a1cb4a3"),
        ("PDB0009", "5c13fbdc9040425e8ec6ed3cdfaae34c"),
        ("PDB0010", "6352f900ecd845e99991392a08e05aff"),
        ("PDB0101", "98ab6223dd9445d8b00ec7e08d7a1a76"),
        ("PDB0102", "c37428ab4f26498eb83c15f37330b113"),
        ("PDB0103", "59ca855005da4c588bdd11af6c77550f"),
        ("PDB0104", "23cf491187ea476e812a5f7d46e4be66"),
        ("PDB0105", "7ba51ac480384b1a84c6bb94f9d63f27"),
        ("PDB0106", "647f7fb9fe4a4e04a31760a3885ae8c9"),
        ("PDB0107", "b6cd63aaffaa4c749955416ced14c4eb"),
        ("PDB0108", "caadc430da544657a1bc045aa6bb98ab"),
        ("PDB0109", "8aae5a3df38d495abd94a8672a8912d6"),
        ("PDB0201", "33438f13243b4b67a4f14bd9c71c8aa7"),
        ("PDB0202", "f5f189c80a214508bdf178ebc36e1fd1"),
        ("PDB0203", "864b57911512453e81a157acd717c0bc"),
        ("PDB0204", "09506fb90f034b8187c3b5ef783b108e"),
        ("PDB0301", "045c2ae698d240d5bd636a4e3b078d49"),
        ("PDB0302", "434fc84b2c864af1a4f9d93707d679b2"),
        ("PDB0303", "c2f4a625f8954283899e5f55cc7f6bb8"),
        ("PDB0304", "c119b986e05d4664bc8842a68c601d28"),
        ("PDB0305", "70bb0f04bc114ba8827973cb06b4cb64"),
    ]

    @Test(arguments: givenOut)
    func messageIDsNeverChange(code: String, messageID: String) {
        #expect(JournalEvent.find(code: code)?.messageID == messageID)
    }

    @Test func journalctlReadsTheFile() throws {
        let journalctl = "/usr/bin/journalctl"
        guard FileManager.default.isExecutableFile(atPath: journalctl) else {
            print("skipped: \(journalctl) is not installed")
            return
        }
        let root = FileManager.default.temporaryDirectory.appending(path: "prust-cat-\(UUID())")
        defer { try? FileManager.default.removeItem(at: root) }
        for path in ["usr/lib/systemd/catalog", "var/lib/systemd/catalog"] {
            let directory = root.appending(path: path)
            try FileManager.default.createDirectory(
                at: directory,
                withIntermediateDirectories: true
            )
        }
        let copy = root.appending(path: "usr/lib/systemd/catalog/prustdb.catalog")
        try FileManager.default.copyItem(at: Self.file, to: copy)
        let rootFlag = "--root=\(root.path())"
        #expect(try Self.run(journalctl, rootFlag, "--update-catalog").status == 0)
        let id = JournalEvent.diskFull.messageID
        let (status, output) = try Self.run(journalctl, rootFlag, "--dump-catalog", id)
        #expect(status == 0)
        #expect(output.contains("Subject: \(JournalEvent.diskFull.message)"))
        #expect(output.contains("no restart is needed"))
    }

    static func run(
        _ program: String,
        _ arguments: String...
    ) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}
