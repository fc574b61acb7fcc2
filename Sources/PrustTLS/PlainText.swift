internal import NIOCore

/// A peer that does not speak TLS: the most common mistake in setting up a client.
enum PlainText {
    case http
    case resp
    case other

    /// Looks at the first bytes that a peer sent; `nil` when they can be a TLS record.
    init?(_ bytes: ByteBuffer) {
        guard let first = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) else {
            return nil
        }
        // The content types of TLS; above them is what SSL 2 started with, for OpenSSL to refuse.
        if (0x14...0x17).contains(first) || first >= 0x80 { return nil }
        if Self.isHTTP(bytes) {
            self = .http
        } else if Self.respStarts.contains(first) {
            self = .resp
        } else {
            self = .other
        }
    }

    private static let respStarts: Set<UInt8> = Set("*+-:$%>~,(#_=|!".utf8)
    private static let httpStarts = [
        "GET /", "POST /", "PUT /", "HEAD /", "DELETE", "OPTION", "PATCH ", "CONNEC", "PRI * ",
        "HTTP/",
    ]

    private static func isHTTP(_ bytes: ByteBuffer) -> Bool {
        Self.httpStarts.contains { bytes.readableBytesView.starts(with: $0.utf8) }
    }

    var name: String {
        switch self {
        case .http: "plain HTTP"
        case .resp: "plain RESP"
        case .other: "neither TLS nor HTTP nor RESP"
        }
    }

    /// What such a peer understands, or `nil` when that is not known.
    var answer: String? {
        switch self {
        case .http:
            "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 34\r\n"
                + "connection: close\r\n\r\nTLS 1.3 is needed here: use https\n"
        case .resp, .other:
            "-ERR TLS 1.3 is needed on this port (redis-cli: --tls --cacert --cert --key)\r\n"
        }
    }
}
