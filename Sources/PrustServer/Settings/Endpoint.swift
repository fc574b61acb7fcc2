/// A network address as people write it: `HOST:PORT`, an IPv6 address in brackets.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    package var host: String
    package var port: Int

    package static let hostByteCountMax = 253

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT` or `[IPV6]:PORT`; `nil` for anything else.
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")) else { return nil }
        var host = bytes.prefix(upTo: colon)
        let digits = bytes.suffix(from: colon).dropFirst()
        guard (1...5).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }),
            let port = Int(String(decoding: digits, as: UTF8.self)), port <= 65_535
        else { return nil }
        if host.first == UInt8(ascii: "[") {
            guard host.last == UInt8(ascii: "]") else { return nil }
            host = host.dropFirst().dropLast()
            guard Self.isIPv6(host) else { return nil }
        } else {
            guard Self.isName(host) else { return nil }
        }
        self.host = String(decoding: host, as: UTF8.self)
        self.port = port
    }

    package var description: String {
        self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }

    /// Whether it stands for all addresses of the machine, so that nobody can connect to it.
    package var isWildcard: Bool {
        ["0.0.0.0", "::", "0:0:0:0:0:0:0:0"].contains(self.host)
    }

    /// Whether only this machine can reach it.
    package var isLoopback: Bool {
        self.host == "localhost" || self.host == "::1" || self.host.hasPrefix("127.")
    }

    /// A host name or IPv4 address: labels of letters, digits, `-` and `_` between points.
    package static func isName(_ bytes: some Collection<UInt8>) -> Bool {
        guard (1...Self.hostByteCountMax).contains(bytes.count) else { return false }
        let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let areLabels = labels.allSatisfy { label in
            (1...63).contains(label.count) && label.first != 0x2D
                && label.allSatisfy { SettingsScalar.isKeyByte($0) }
        }
        guard areLabels else { return false }
        let isNumeric = bytes.allSatisfy { (48...57).contains($0) || $0 == UInt8(ascii: ".") }
        return !isNumeric || Self.isIPv4(labels.map { String(decoding: Array($0), as: UTF8.self) })
    }

    private static func isIPv4(_ parts: [String]) -> Bool {
        parts.count == 4
            && parts.allSatisfy { UInt8($0) != nil && ($0.count == 1 || $0.first != "0") }
    }

    /// Hexadecimal groups with at most one `::`, an IPv4 tail or zone left out.
    private static func isIPv6(_ bytes: some Collection<UInt8>) -> Bool {
        let text = String(decoding: Array(bytes), as: UTF8.self)
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (3...9).contains(parts.count) else { return false }
        let groups = parts.filter { !$0.isEmpty }
        guard groups.allSatisfy({ $0.utf8.count <= 4 && UInt16($0, radix: 16) != nil }),
            groups.allSatisfy({ $0.first != "+" && $0.first != "-" })
        else { return false }
        return groups.count == 8 ? parts.count == 8 : groups.count < 8 && Self.hasOneGap(text)
    }

    private static func hasOneGap(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        var gapCount = 0
        var run = 0
        for byte in bytes {
            run = byte == UInt8(ascii: ":") ? run + 1 : 0
            if run == 2 { gapCount += 1 }
            if run > 2 { return false }
        }
        let startsAlone = bytes.first == 0x3A && bytes.dropFirst().first != 0x3A
        let endsAlone = bytes.last == 0x3A && bytes.dropLast().last != 0x3A
        return gapCount == 1 && !startsAlone && !endsAlone
    }
}
