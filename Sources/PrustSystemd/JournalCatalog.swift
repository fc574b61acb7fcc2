/// The file that `journalctl -x` takes its explanations from.
package enum JournalCatalog {
    /// The text of `deploy/systemd/prustdb.catalog`, made from all events.
    package static func text(of events: [JournalEvent] = JournalEvent.all) -> String {
        var result = """
            # Message catalog of PrustDB, see journalctl(1), option -x.
            # Made from the events in Sources/PrustSystemd; the test JournalCatalogTests compares.

            """
        for event in events {
            result += """

                -- \(event.messageID)
                Subject: \(event.message)
                Defined-By: PrustDB
                Documentation: man:prustdb(8)

                \(Self.wrap(event.explanation))

                \(Self.wrap(event.remedy))

                (\(event.code))

                """
        }
        return result
    }

    /// Breaks a text into lines of at most 76 columns.
    static func wrap(_ text: String) -> String {
        var lines: [String] = []
        var line = ""
        for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
            if !line.isEmpty, line.count + 1 + word.count > 76 {
                lines.append(line)
                line = ""
            }
            line += line.isEmpty ? String(word) : " " + word
        }
        if !line.isEmpty { lines.append(line) }
        return lines.joined(separator: "\n")
    }
}
