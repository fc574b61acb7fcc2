import PrustCore

/// Cuts a file that arrives in pieces into records and finds their keys.
///
/// Memory is bounded by one record and one piece. The value of a record is its bytes as they stand
/// in the file: in deb822 with the line end of its last line and without the empty line after it;
/// in jsonl and csv without the line end, which separates records there.
struct RecordSplitter {
    static let recordByteCountMax = Limits.valueByteCountMax

    private let format: RecordFormat
    private let recordByteCountMax: Int
    private let prefix: [UInt8]
    private var extractor: KeyExtractor
    private var bytes: [UInt8] = []
    /// Where the record that is being read begins.
    private var start = 0
    /// Where the line that is being read begins, and up to where it was searched for its end.
    private var lineStart = 0
    private var scanned = 0
    private var isQuoted = false
    /// Number of the line at `lineStart`, and of the first line of the record.
    private var line = 1
    private var recordLine = 1
    private var recordCount = 0
    private var isFinished = false
    private var awaitsHeader: Bool

    /// A splitter.
    ///
    /// - Parameters:
    ///   - format: What the file is.
    ///   - keyFields: Fields whose values, joined by `:`, are the key; at least one.
    ///   - prefix: Stands before every key.
    ///   - recordByteCountMax: Bytes of one record.
    init(
        format: RecordFormat,
        keyFields: [String],
        prefix: String,
        recordByteCountMax: Int = Self.recordByteCountMax
    ) {
        self.format = format
        self.recordByteCountMax = recordByteCountMax
        self.prefix = Array(prefix.utf8)
        self.extractor = KeyExtractor(format: format, fields: keyFields)
        self.awaitsHeader = format == .csv
    }

    /// Takes the next piece of the file.
    mutating func append(_ piece: some Collection<UInt8>) {
        if self.start > 0 {
            self.bytes.removeFirst(self.start)
            self.lineStart -= self.start
            self.scanned -= self.start
            self.start = 0
        }
        self.bytes.append(contentsOf: piece)
    }

    /// Says that the file has ended.
    mutating func finish() {
        self.isFinished = true
    }

    /// The next whole record, or `nil` until more of the file comes.
    mutating func next() throws(RecordError) -> Record? {
        while let range = self.nextRange() {
            try self.checkSize(range.count)
            let bytes = self.bytes[range]
            if self.awaitsHeader {
                try self.extractor.readHeader(bytes, line: self.recordLine)
                self.awaitsHeader = false
                continue
            }
            self.recordCount += 1
            let key = self.prefix + (try self.extractor.key(of: bytes, line: self.recordLine))
            guard key.count <= Limits.keyByteCountMax else {
                throw self.error(
                    "a key of \(key.count) bytes, at most \(Limits.keyByteCountMax) are accepted"
                )
            }
            return Record(
                number: self.recordCount,
                line: self.recordLine,
                key: key,
                value: Array(bytes)
            )
        }
        try self.checkSize(self.bytes.count - self.start)
        return nil
    }

    private func checkSize(_ byteCount: Int) throws(RecordError) {
        guard byteCount <= self.recordByteCountMax else {
            throw self.error("a record longer than \(self.recordByteCountMax) bytes")
        }
    }

    private func error(_ problem: String) -> RecordError {
        RecordError(line: self.recordLine, problem: problem)
    }

    private mutating func nextRange() -> Range<Int>? {
        switch self.format {
        case .deb822: self.nextParagraph()
        case .jsonl, .csv: self.nextRow()
        }
    }

    private mutating func nextRow() -> Range<Int>? {
        while let range = self.nextLine() {
            self.start = range.upperBound
            let row = self.withoutLineEnd(range)
            if !self.isBlank(row) { return row }
        }
        return nil
    }

    private mutating func nextParagraph() -> Range<Int>? {
        while true {
            let firstLine = self.line
            guard let range = self.nextLine() else { break }
            let isFirst = self.start == range.lowerBound
            if self.isBlank(range) {
                let paragraph = self.start..<range.lowerBound
                self.start = range.upperBound
                if !isFirst { return paragraph }
            } else if isFirst {
                self.recordLine = firstLine
            }
        }
        guard self.isFinished, self.start < self.bytes.count else { return nil }
        let paragraph = self.start..<self.bytes.count
        self.start = self.bytes.count
        return paragraph
    }

    /// The next line with its end; of a file that has ended, also a last one that has none.
    ///
    /// A line end between quotes does not end a row of csv.
    private mutating func nextLine() -> Range<Int>? {
        let isCSV = self.format == .csv
        var index = self.scanned
        var quoted = self.isQuoted
        var feedCount = 0
        let end = self.bytes.withUnsafeBufferPointer { bytes -> Int? in
            while index < bytes.count {
                let byte = bytes[index]
                index += 1
                if byte == UInt8(ascii: "\n") {
                    feedCount += 1
                    if !quoted { return index }
                } else if isCSV, byte == UInt8(ascii: "\"") {
                    quoted.toggle()
                }
            }
            return nil
        }
        self.scanned = index
        self.isQuoted = quoted
        guard let end = end ?? (self.isFinished && index > self.lineStart ? index : nil) else {
            self.line += feedCount
            return nil
        }
        let range = self.lineStart..<end
        self.lineStart = end
        if self.format != .deb822 {
            self.recordLine = self.line + feedCount - self.feedCount(range)
        }
        self.line += feedCount
        return range
    }

    private func feedCount(_ range: Range<Int>) -> Int {
        self.bytes[range].count { $0 == UInt8(ascii: "\n") }
    }

    private func withoutLineEnd(_ range: Range<Int>) -> Range<Int> {
        var end = range.upperBound
        if end > range.lowerBound, self.bytes[end - 1] == UInt8(ascii: "\n") { end -= 1 }
        if end > range.lowerBound, self.bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
        return range.lowerBound..<end
    }

    private func isBlank(_ range: Range<Int>) -> Bool {
        self.bytes[range].allSatisfy { $0 == 0x20 || (0x09...0x0D).contains($0) }
    }
}
