package import Logging
import PrustCore

/// One entry of the journal: its fields as `NAME=value` bytes.
package struct JournalEntry: Equatable, Sendable {
    /// Bytes of the message with its facts.
    package static let messageByteCountMax = 8 * 1024
    /// Bytes of one field of metadata.
    package static let fieldByteCountMax = 4 * 1024
    /// Fields of metadata; more are left out.
    package static let fieldCountMax = 64
    /// Bytes of a field's name: journald refuses longer ones.
    package static let nameByteCountMax = 64

    package private(set) var fields: [[UInt8]] = []

    /// Makes the entry of a message.
    ///
    /// `MESSAGE=` holds the constant text and, after it, the facts, because that is what
    /// `journalctl` shows. Each fact is a field of its own too. The identity of the event is in
    /// `MESSAGE_ID=`, which the catalog and filters go by.
    package init(
        level: Logger.Level,
        message: String,
        metadata: Logger.Metadata,
        label: String,
        location: (file: String, function: String, line: UInt)
    ) {
        var facts = metadata
        let event = facts.removeValue(forKey: JournalEvent.metadataKey)
            .flatMap { JournalEvent.find(code: "\($0)") }
        let text = LogText.escape(message) + LogText.facts(facts)
        self.add("MESSAGE", text, byteCountMax: Self.messageByteCountMax)
        self.add("PRIORITY", "\(Self.priority(of: level))")
        self.add("SYSLOG_IDENTIFIER", "prustdb")
        if let event {
            self.add("MESSAGE_ID", event.messageID)
            self.add("PRUSTDB_EVENT", event.code)
            // LOG_AUTHPRIV of syslog(3), so that the audit trail can be kept apart.
            if event.isAudit { self.add("SYSLOG_FACILITY", "10") }
        }
        self.add("CODE_FILE", location.file)
        self.add("CODE_LINE", "\(location.line)")
        self.add("CODE_FUNC", location.function)
        self.add("PRUSTDB_LOGGER", label)
        let sorted = facts.sorted { $0.key < $1.key }
        for (key, value) in sorted.prefix(Self.fieldCountMax) {
            let text = LogText.escape(LogText.cut("\(value)", byteCountMax: Self.fieldByteCountMax))
            self.add(Self.name(of: key), text)
        }
    }

    /// The name of the field of a metadata key: `peer-id` is `PRUSTDB_PEER_ID`.
    package static func name(of key: String) -> String {
        var name = "PRUSTDB_"
        for byte in key.utf8 where name.utf8.count < Self.nameByteCountMax {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"):
                name.unicodeScalars.append(Unicode.Scalar(byte - 32))
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                name.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                name += "_"
            }
        }
        return name
    }

    /// The level as in `syslog(3)`.
    package static func priority(of level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }

    private mutating func add(
        _ name: String,
        _ value: String,
        byteCountMax: Int = Self.fieldByteCountMax
    ) {
        let text = LogText.cut(value, byteCountMax: byteCountMax)
        self.fields.append(Array(name.utf8) + [UInt8(ascii: "=")] + Array(text.utf8))
    }
}
