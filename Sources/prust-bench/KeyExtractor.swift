/// Finds the values of the key's fields in one record.
struct KeyExtractor {
    private static let separator = UInt8(ascii: ":")

    private let format: RecordFormat
    private let fields: [String]
    private let names: [[UInt8]]
    /// Of csv: where each field of the key stands in a row, and how many fields a row has.
    private var columns: [Int] = []
    private var columnCount = 0

    init(format: RecordFormat, fields: [String]) {
        precondition(!fields.isEmpty, "a key has a field")
        self.format = format
        self.fields = fields
        self.names = fields.map { Array($0.utf8) }
    }

    /// Reads the row of csv that names the fields.
    mutating func readHeader(_ row: ArraySlice<UInt8>, line: Int) throws(RecordError) {
        var row = row
        if row.starts(with: [0xEF, 0xBB, 0xBF]) { row = row.dropFirst(3) }
        let header = try CSVRow.fields(of: row, line: line)
        for (field, name) in zip(self.fields, self.names) {
            guard let column = header.firstIndex(of: name) else {
                throw RecordError(line: line, problem: "the header has no field '\(field)'")
            }
            self.columns.append(column)
        }
        self.columnCount = header.count
    }

    /// The values of the key's fields, joined by colons.
    func key(of record: ArraySlice<UInt8>, line: Int) throws(RecordError) -> [UInt8] {
        let values: [[UInt8]?]
        switch self.format {
        case .deb822:
            values = self.names.map { Self.deb822Field($0, of: record) }
        case .jsonl:
            do {
                values = try JSONObjectScanner.values(of: self.names, in: record)
            } catch {
                throw RecordError(line: line, problem: "not a JSON object: \(error.problem)")
            }
        case .csv:
            let row = try CSVRow.fields(of: record, line: line)
            guard row.count == self.columnCount else {
                let problem = "\(row.count) fields, the header has \(self.columnCount)"
                throw RecordError(line: line, problem: problem)
            }
            values = self.columns.map { row[$0] }
        }
        var key: [UInt8] = []
        for (index, value) in values.enumerated() {
            guard let value, !value.isEmpty else {
                let problem = "the record has no field '\(self.fields[index])'"
                throw RecordError(line: line, problem: problem)
            }
            if index > 0 { key.append(Self.separator) }
            key.append(contentsOf: value)
        }
        return key
    }

    /// The first line of a field's value without the blanks around it; names ignore case.
    private static func deb822Field(_ name: [UInt8], of record: ArraySlice<UInt8>) -> [UInt8]? {
        var rest = record
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
            let line = rest[rest.startIndex..<end]
            rest = rest[min(end + 1, rest.endIndex)...]
            guard line.count > name.count, line[line.startIndex + name.count] == separator,
                line.prefix(name.count).elementsEqual(name, by: Self.isSameLetter)
            else { continue }
            var value = line.dropFirst(name.count + 1)
            while let byte = value.first, Self.isBlank(byte) { value = value.dropFirst() }
            while let byte = value.last, Self.isBlank(byte) { value = value.dropLast() }
            return Array(value)
        }
        return nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || (0x09...0x0D).contains(byte)
    }

    private static func isSameLetter(_ left: UInt8, _ right: UInt8) -> Bool {
        func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte + 0x20 : byte }
        return lower(left) == lower(right)
    }
}
