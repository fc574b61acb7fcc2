import FoundationEssentials
import Glibc

/// What people and scripts see: results on standard output, everything else on standard error.
enum Terminal {
    static var isErrorTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    static func error(_ message: String) {
        Self.write("prust-bench: \(Self.oneLine(message))\n", to: STDERR_FILENO)
    }

    static func note(_ text: String) {
        Self.write(text, to: STDERR_FILENO)
    }

    static func result(_ text: String) {
        Self.write(text + "\n", to: STDOUT_FILENO)
    }

    static func result(json value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .useDefaultKeys
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        Self.result(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// A number with a comma before every third digit.
    static func grouped(_ number: Int) -> String {
        var result: [Character] = []
        for (index, digit) in String(number.magnitude).reversed().enumerated() {
            if index > 0, index % 3 == 0 { result.append(",") }
            result.append(digit)
        }
        return (number < 0 ? "-" : "") + String(result.reversed())
    }

    /// A number with one digit behind the point.
    static func decimal(_ number: Double, digits: Int = 1) -> String {
        guard number.isFinite, abs(number) < 1e15 else { return "\(number)" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((abs(number) * scale).rounded())
        let whole = scaled / Int(scale)
        let part = String(scaled % Int(scale))
        let zeros = String(repeating: "0", count: max(0, digits - part.count))
        return (number < 0 ? "-" : "") + (digits > 0 ? "\(whole).\(zeros)\(part)" : "\(whole)")
    }

    static func padded(_ text: String, to width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
