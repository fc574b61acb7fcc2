package import Logging

/// Something that operators search for, alert on or look up: an entry of the message catalog.
///
/// The message ID (128 bits, random, see `sd-id128(3)`) and the code of an event never change and are
/// never used again; texts may get better.
package struct JournalEvent: Hashable, Sendable {
    /// The fact of a log message that says which event it is.
    package static let metadataKey = "event"

    /// `PDB` and four digits.
    package let code: String
    /// 32 hexadecimal digits, `MESSAGE_ID=` of the journal.
    package let messageID: String
    package let level: Logger.Level
    /// The constant text; facts follow it.
    package let message: String
    /// For the catalog: what happened.
    package let explanation: String
    /// For the catalog: what to do.
    package let remedy: String
    /// Belongs to the audit trail.
    package let isAudit: Bool

    init(
        _ code: String,
        _ messageID: String,
        _ level: Logger.Level,
        _ message: String,
        explanation: String,
        remedy: String,
        isAudit: Bool = false
    ) {
        self.code = code
        self.messageID = messageID
        self.level = level
        self.message = message
        self.explanation = explanation
        self.remedy = remedy
        self.isAudit = isAudit
    }

    /// Every event, sorted by code.
    package static let all: [JournalEvent] =
        Self.lifeEvents + Self.storageEvents + Self.networkEvents + Self.auditEvents

    package static func find(code: String) -> JournalEvent? {
        Self.byCode[code]
    }

    private static let byCode = Dictionary(
        Self.all.map { ($0.code, $0) },
        uniquingKeysWith: { first, _ in first }
    )

    package static func == (left: Self, right: Self) -> Bool {
        left.code == right.code
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(self.code)
    }
}

extension JournalEvent: CustomStringConvertible {
    package var description: String { self.code }
}
