/// One row of a csv file, by RFC 4180.
enum CSVRow {
    private static let quote = UInt8(ascii: "\"")
    private static let comma = UInt8(ascii: ",")

    /// The fields of a row, unquoted.
    static func fields(
        of row: ArraySlice<UInt8>,
        line: Int
    ) throws(RecordError) -> [[UInt8]] {
        var fields: [[UInt8]] = []
        var index = row.startIndex
        while true {
            var field: [UInt8] = []
            if index < row.endIndex, row[index] == Self.quote {
                index += 1
                while true {
                    guard index < row.endIndex else {
                        throw RecordError(line: line, problem: "a quoted field does not end")
                    }
                    let byte = row[index]
                    index += 1
                    guard byte == Self.quote else {
                        field.append(byte)
                        continue
                    }
                    guard index < row.endIndex, row[index] == Self.quote else { break }
                    field.append(Self.quote)
                    index += 1
                }
                guard index == row.endIndex || row[index] == Self.comma else {
                    throw RecordError(line: line, problem: "bytes behind a quoted field")
                }
            } else {
                while index < row.endIndex, row[index] != Self.comma {
                    guard row[index] != Self.quote else {
                        throw RecordError(line: line, problem: "a quote inside a bare field")
                    }
                    field.append(row[index])
                    index += 1
                }
            }
            fields.append(field)
            guard index < row.endIndex else { return fields }
            index += 1
        }
    }
}
