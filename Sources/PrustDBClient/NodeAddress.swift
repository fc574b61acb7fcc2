/// Where a node listens: a host name or address, and a port.
package struct NodeAddress: Hashable, Sendable, CustomStringConvertible {
    package let host: String
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`, `address:port` or `[IPv6 address]:port`.
    package init(_ text: some StringProtocol) throws(ClientError) {
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...]), port > 0
        else { throw Self.malformed(text) }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw Self.malformed(text)
        }
        let isAllowed = host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        guard !host.isEmpty, host.utf8.count <= 255, isAllowed else { throw Self.malformed(text) }
        self.host = String(host)
        self.port = Int(port)
    }

    package var description: String {
        self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)"
    }

    private static func malformed(_ text: some StringProtocol) -> ClientError {
        ClientError(
            .invalidConfiguration,
            "'\(text)' is no address, HOST:PORT is expected, for example 127.0.0.1:8000"
        )
    }
}
