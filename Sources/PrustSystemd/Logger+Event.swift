package import Logging

extension Logger {
    /// Logs an event of the catalog at its own level, with its constant text.
    package func event(
        _ event: JournalEvent,
        metadata: Logger.Metadata = [:],
        file: String = #fileID,
        function: String = #function,
        line: UInt = #line
    ) {
        var metadata = metadata
        metadata[JournalEvent.metadataKey] = .string(event.code)
        self.log(
            level: event.level,
            "\(event.message)",
            metadata: metadata,
            file: file,
            function: function,
            line: line
        )
    }

    /// Logs an event of the audit trail, whatever the level from which messages are written.
    package func audit(
        _ event: JournalEvent,
        _ record: AuditRecord,
        file: String = #fileID,
        function: String = #function,
        line: UInt = #line
    ) {
        precondition(event.isAudit, "\(event) is no event of the audit trail")
        var logger = self
        logger.logLevel = .trace
        logger.event(event, metadata: record.metadata, file: file, function: function, line: line)
    }
}
