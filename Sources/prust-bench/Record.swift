/// One record of a file, as it goes into the database.
struct Record: Hashable, Sendable {
    /// Position in the file, from 1.
    let number: Int
    /// Line on which it begins, from 1.
    let line: Int
    let key: [UInt8]
    /// The record's bytes as they stand in the file.
    let value: [UInt8]
}

/// A record that cannot be taken from the file.
struct RecordError: Error, Hashable, CustomStringConvertible {
    let line: Int
    let problem: String

    var description: String { "line \(self.line): \(self.problem)" }
}

/// The formats that records are read from.
enum RecordFormat: String, CaseIterable, Sendable {
    /// Paragraphs of `Field: value` lines with empty lines between them, as in Debian's indexes.
    case deb822
    /// One JSON object a line.
    case jsonl
    /// RFC 4180, the first record names the fields.
    case csv
}
