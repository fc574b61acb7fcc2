import Glibc
import PrustCore

/// What attempts, connections and refusals of an address are counted under.
enum NetworkName {
    /// The address itself, or for IPv6 its /64: that is what one customer gets, and counting
    /// each of its 2^64 addresses alone would limit nothing.
    static func of(_ address: String) -> String {
        guard address.utf8.contains(UInt8(ascii: ":")) else { return address }
        var bytes = [UInt8](repeating: 0, count: 16)
        guard inet_pton(AF_INET6, address, &bytes) == 1 else { return address }
        // An IPv4 address as a socket for both families shows it.
        if bytes.prefix(10).allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF {
            return bytes.suffix(4).map { "\($0)" }.joined(separator: ".")
        }
        return Hex.encode(bytes.prefix(8)) + "/64"
    }

    /// The same for where an audit event came from: an address that its port may follow, or `unix`
    /// with the process, which is another one each time.
    static func of(origin text: String) -> String {
        if text.hasPrefix("unix") { return "unix" }
        if text.hasPrefix("[") { return Self.of(String(text.dropFirst().prefix { $0 != "]" })) }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return Self.of(parts.count == 2 ? String(parts[0]) : text)
    }
}
