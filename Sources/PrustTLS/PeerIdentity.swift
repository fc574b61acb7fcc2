package import PrustCore

/// Who a certificate speaks for: the one `prustdb://` URI among its subject alternative names.
package enum PeerIdentity: Sendable, Hashable, CustomStringConvertible {
    case node(NodeID)
    case client(String)

    private static let nodePrefix = "prustdb://node/"
    private static let clientPrefix = "prustdb://client/"
    static let scheme = "prustdb:"

    /// Reads a URI; anything but the exact form gives `nil`.
    package init?(uri: some StringProtocol) {
        if uri.hasPrefix(Self.nodePrefix) {
            let digits = uri.dropFirst(Self.nodePrefix.count)
            guard digits.utf8.count == 2 * Identifier256.byteCount,
                let identifier = Identifier256(hex: digits),
                identifier.description == digits
            else { return nil }
            self = .node(NodeID(identifier))
        } else if uri.hasPrefix(Self.clientPrefix) {
            let name = String(uri.dropFirst(Self.clientPrefix.count))
            guard Self.isValidName(name) else { return nil }
            self = .client(name)
        } else {
            return nil
        }
    }

    /// The identity among a certificate's URIs: there must be exactly one of our scheme.
    package init?(uris: [String]) {
        let ours = uris.filter { $0.hasPrefix(Self.scheme) }
        guard ours.count == 1, let uri = ours.first else { return nil }
        self.init(uri: uri)
    }

    package var uri: String {
        switch self {
        case .node(let id): Self.nodePrefix + id.description
        case .client(let name): Self.clientPrefix + name
        }
    }

    package var description: String { self.uri }

    /// Whether this can be a client's name: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    package static func isValidName(_ name: String) -> Bool {
        let bytes = name.utf8
        guard (1...Limits.nameByteCountMax).contains(bytes.count) else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }
}
