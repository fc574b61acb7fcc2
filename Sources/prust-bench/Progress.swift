import NIOCore

/// Tells how far the work is: a bar on a terminal, a line now and then elsewhere.
struct Progress {
    private static let barWidth = 24

    private let total: Int?
    private let isTerminal: Bool
    private let startedAt = NIODeadline.now()
    private var nextAt: NIODeadline

    /// Progress of some work.
    ///
    /// - Parameters:
    ///   - total: Bytes of the whole file, if they are known.
    ///   - isTerminal: Whether someone is watching.
    init(total: Int?, isTerminal: Bool) {
        self.total = total
        self.isTerminal = isTerminal
        self.nextAt = .now() + (isTerminal ? .milliseconds(200) : .seconds(5))
    }

    /// Shows how far the work is, if it is time to.
    mutating func tick(records: Int, readByteCount: Int, now: NIODeadline = .now()) {
        guard now >= self.nextAt else { return }
        self.nextAt = now + (self.isTerminal ? .milliseconds(200) : .seconds(5))
        let text = self.text(records: records, readByteCount: readByteCount, now: now)
        Terminal.note(self.isTerminal ? "\r\u{1B}[K\(text)" : "\(text)\n")
    }

    /// Takes the bar away.
    func clear() {
        if self.isTerminal { Terminal.note("\r\u{1B}[K") }
    }

    var seconds: Double {
        Double(max(1, (NIODeadline.now() - self.startedAt).nanoseconds)) / 1e9
    }

    func text(records: Int, readByteCount: Int, now: NIODeadline) -> String {
        let seconds = max(1e-9, Double((now - self.startedAt).nanoseconds) / 1e9)
        let rate = Int(Double(records) / seconds)
        var text =
            "\(Terminal.grouped(records)) records, \(Self.size(readByteCount)),"
            + " \(Terminal.grouped(rate)) records/s"
        guard let total = self.total, total > 0 else { return text }
        let part = min(1, Double(readByteCount) / Double(total))
        let percent = Terminal.decimal(part * 100, digits: 0)
        if part > 0.001 {
            let rest = seconds / part - seconds
            text += ", \(Terminal.decimal(rest, digits: 0)) s left"
        }
        let full = Int(part * Double(Self.barWidth))
        let bar =
            String(repeating: "#", count: full)
            + String(repeating: ".", count: Self.barWidth - full)
        return self.isTerminal ? "[\(bar)] \(percent)% \(text)" : "\(percent)%: \(text)"
    }

    static func size(_ byteCount: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(byteCount)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return "\(Terminal.decimal(value, digits: unit == 0 ? 0 : 1)) \(units[unit])"
    }
}
