import CSystemd
import Glibc
package import Logging

/// Writes log messages to the journal, with each fact as a field of its own.
///
/// How many messages are kept is journald's affair (`LogRateLimitIntervalSec=` of the unit).
package struct JournalLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let level: LogLevelControl
    private var ownLevel: Logger.Level?
    private let send: @Sendable (JournalEntry) -> Void

    /// Makes a handler; `send` stands for the journal in tests.
    package init(
        label: String,
        level: LogLevelControl,
        send: @escaping @Sendable (JournalEntry) -> Void = Self.sendToJournal
    ) {
        self.label = label
        self.level = level
        self.send = send
    }

    /// The level of all loggers, unless it was set for this one.
    package var logLevel: Logger.Level {
        get { self.ownLevel ?? self.level.level }
        set { self.ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    package func log(event: Logging.LogEvent) {
        self.send(
            JournalEntry(
                level: event.level,
                message: "\(event.message)",
                metadata: self.merged(with: event.metadata),
                label: self.label,
                location: (event.file, event.function, event.line)
            )
        )
    }

    /// Hands an entry to journald.
    ///
    /// A failure could be told nowhere, so none is returned.
    package static let sendToJournal: @Sendable (JournalEntry) -> Void = { entry in
        let bytes = entry.fields.joined()
        Array(bytes).withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            var vectors: [iovec] = []
            var offset = 0
            for field in entry.fields {
                // journald only reads through the pointer, although its type says otherwise.
                let start = UnsafeMutableRawPointer(mutating: base + offset)
                vectors.append(iovec(iov_base: start, iov_len: field.count))
                offset += field.count
            }
            _ = sd_journal_sendv(vectors, CInt(clamping: vectors.count))
        }
    }
}

extension LogHandler {
    /// The metadata of a message: the handler's, the provider's, its own; a later one replaces.
    func merged(with own: Logger.Metadata?) -> Logger.Metadata {
        var result = self.metadata
        if let provided = self.metadataProvider?.get() {
            result.merge(provided) { $1 }
        }
        if let own {
            result.merge(own) { $1 }
        }
        return result
    }
}
