import Logging
import PrustCore
import PrustSystemd
import Synchronization
import Testing

@Suite struct LogHandlerTests {
    /// Keeps what a handler wrote.
    final class Sink<Element: Sendable>: Sendable {
        private let elements = Mutex<[Element]>([])
        var all: [Element] { self.elements.withLock { $0 } }
        func append(_ element: Element) { self.elements.withLock { $0.append(element) } }
    }

    static func console(colour: Bool, level: LogLevelControl, into sink: Sink<String>) -> Logger {
        Logger(label: "test") {
            ConsoleLogHandler(
                label: $0,
                colour: colour,
                level: level,
                now: { WallTime(milliseconds: 1_709_164_800_001) },
                write: { sink.append($0) }
            )
        }
    }

    static func journal(level: LogLevelControl, into sink: Sink<JournalEntry>) -> Logger {
        Logger(label: "test") {
            JournalLogHandler(label: $0, level: level, send: { sink.append($0) })
        }
    }

    static func texts(_ entry: JournalEntry) -> [String] {
        entry.fields.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func consoleWritesOneLine() {
        let sink = Sink<String>()
        var logger = Self.console(colour: false, level: .init(.info), into: sink)
        logger[metadataKey: "node"] = "n1"
        logger.info("Hello\n\u{1B}[1mworld", metadata: ["peer": "a b"])
        logger.debug("not shown")
        logger.event(.diskFull, metadata: ["path": "/x"])
        #expect(
            sink.all == [
                "2024-02-29T00:00:00.001Z INFO   Hello\\n\\u{1b}[1mworld node=n1 peer=\"a b\"\n",
                "2024-02-29T00:00:00.001Z CRIT   The disk is full and writes are refused "
                    + "event=PDB0108 node=n1 path=/x\n",
            ]
        )
    }

    @Test func consoleColoursOnlyTheLevel() {
        let sink = Sink<String>()
        let logger = Self.console(colour: true, level: .init(.info), into: sink)
        logger.error("E")
        logger.info("I")
        #expect(
            sink.all == [
                "2024-02-29T00:00:00.001Z \u{1B}[31mERROR \u{1B}[0m E\n",
                "2024-02-29T00:00:00.001Z INFO   I\n",
            ]
        )
    }

    @Test func consoleLineIsBounded() {
        let sink = Sink<String>()
        let logger = Self.console(colour: false, level: .init(.info), into: sink)
        let message = String(repeating: "m", count: ConsoleLogHandler.lineByteCountMax + 1)
        logger.info("\(message)")
        #expect((sink.all.first?.utf8.count ?? .max) <= ConsoleLogHandler.lineByteCountMax)
        #expect(sink.all.first?.hasSuffix("m...\n") == true)
    }

    @Test func levelChangesForLoggersThatExist() {
        let sink = Sink<String>()
        let level = LogLevelControl(.warning)
        let logger = Self.console(colour: false, level: level, into: sink)
        var own = logger
        own.logLevel = .error
        logger.info("1")
        level.level = .trace
        logger.trace("2")
        own.warning("3")
        #expect(sink.all.count == 1 && sink.all.first?.contains("TRACE  2") == true)
        for each in Logger.Level.allCases {
            level.level = each
            #expect(level.level == each && logger.logLevel == each)
        }
    }

    @Test func journalEntryHasItsFields() {
        let sink = Sink<JournalEntry>()
        let logger = Self.journal(level: .init(.info), into: sink)
        logger.event(
            .corruptRecordFound,
            metadata: ["segment-id": "7", "path": "a b"],
            file: "M/F.swift",
            function: "f()",
            line: 12
        )
        #expect(
            sink.all.map(Self.texts) == [
                [
                    "MESSAGE=A corrupt record was found path=\"a b\" segment-id=7",
                    "PRIORITY=3",
                    "SYSLOG_IDENTIFIER=prustdb",
                    "MESSAGE_ID=\(JournalEvent.corruptRecordFound.messageID)",
                    "PRUSTDB_EVENT=PDB0104",
                    "CODE_FILE=M/F.swift",
                    "CODE_LINE=12",
                    "CODE_FUNC=f()",
                    "PRUSTDB_LOGGER=test",
                    "PRUSTDB_PATH=a b",
                    "PRUSTDB_SEGMENT_ID=7",
                ]
            ]
        )
    }

    @Test func auditRecordIsMarkedAndBounded() throws {
        let sink = Sink<JournalEntry>()
        let logger = Self.journal(level: .init(.critical), into: sink)
        logger.event(.loginFailed)
        #expect(sink.all.isEmpty)
        let who = String(repeating: "w", count: AuditRecord.textByteCountMax + 1)
        logger.audit(
            .loginFailed,
            AuditRecord(who: who, what: "auth\nPRIORITY=0", from: "[::1]:9", outcome: .denied)
        )
        let texts = Self.texts(try #require(sink.all.first))
        #expect(texts.contains("SYSLOG_FACILITY=10"))
        #expect(texts.contains("PRUSTDB_AUDIT_WHAT=auth\\nPRIORITY=0"))
        #expect(texts.contains("PRUSTDB_AUDIT_FROM=[::1]:9"))
        #expect(texts.contains("PRUSTDB_AUDIT_OUTCOME=denied"))
        #expect(!texts.contains { $0.hasPrefix("PRUSTDB_AUDIT_TARGET") })
        let field = try #require(texts.first { $0.hasPrefix("PRUSTDB_AUDIT_WHO=") })
        #expect(field.utf8.count == "PRUSTDB_AUDIT_WHO=".utf8.count + AuditRecord.textByteCountMax)
        let target = AuditRecord(who: "", what: "", from: "", outcome: .allowed, target: "t")
        #expect(target.metadata["audit-target"] == "t")
    }

    @Test func journalEntryIsBounded() {
        var metadata: Logger.Metadata = [:]
        for index in 0...JournalEntry.fieldCountMax {
            metadata["k\(index)"] = .string(String(repeating: "v", count: 5000))
        }
        let entry = JournalEntry(
            level: .info,
            message: "m",
            metadata: metadata,
            label: "l",
            location: ("f", "g", 1)
        )
        #expect(entry.fields.count == 7 + JournalEntry.fieldCountMax)
        let longest = entry.fields.map(\.count).max() ?? 0
        #expect(longest == "MESSAGE=".utf8.count + JournalEntry.messageByteCountMax)
    }

    static let names: [(String, String)] = [
        ("peer-id", "PRUSTDB_PEER_ID"), ("a.b c", "PRUSTDB_A_B_C"), ("", "PRUSTDB_"),
        ("Ü9", "PRUSTDB___9"), (String(repeating: "x", count: 56), "PRUSTDB_" + Self.x(56)),
        (String(repeating: "x", count: 57), "PRUSTDB_" + Self.x(56)),
        ("=\nMESSAGE", "PRUSTDB___MESSAGE"),
    ]

    static func x(_ count: Int) -> String { String(repeating: "X", count: count) }

    @Test(arguments: names)
    func fieldName(key: String, name: String) {
        #expect(JournalEntry.name(of: key) == name)
    }

    @Test func prioritiesAreThoseOfSyslog() {
        let priorities = Logger.Level.allCases.map { JournalEntry.priority(of: $0) }
        #expect(priorities == [7, 7, 6, 5, 4, 3, 2])
    }

    @Test func sendingToNoJournalDoesNothing() {
        let entry = JournalEntry(
            level: .debug,
            message: "test",
            metadata: [:],
            label: "test",
            location: ("f", "g", 1)
        )
        JournalLogHandler.sendToJournal(entry)
        #expect(entry.fields.count == 7)
    }

    static let streams: [(String?, Bool)] = [
        ("8:100", true), ("8:101", false), ("9:100", false), (nil, false), ("", false),
        ("8", false), ("8:100:1", false), ("x:100", false), ("8:", false), ("-8:100", false),
        ("99999999999999999999:100", false),
    ]

    @Test(arguments: streams)
    func journalStream(stream: String?, isJournal: Bool) {
        #expect(LogDestination.isJournal(stream: stream, device: 8, inode: 100) == isJournal)
    }
}
