package import NIOCore

/// One reply of a RESP server, whole, as the client side of the wire sees it.
///
/// Byte strings are slices of the buffer they arrived in: no copy is made, and a slice that is
/// kept keeps that buffer alive. Attributes of RESP3 are dropped by the parser.
package enum RESPValue: Hashable, Sendable {
    /// One key and its value, in the order of the wire.
    package struct Entry: Hashable, Sendable {
        package var key: RESPValue
        package var value: RESPValue

        package init(key: RESPValue, value: RESPValue) {
            self.key = key
            self.value = value
        }
    }

    case simpleString(ByteBuffer)
    /// An error line or, in RESP3, an error of any bytes; the code is its first word.
    case error(ByteBuffer)
    case integer(Int64)
    case bulk(ByteBuffer)
    /// RESP3's null, and the null bulk and null array of RESP2.
    case null
    case array([RESPValue])
    case map([Entry])
    case set([RESPValue])
    case boolean(Bool)
    case double(Double)
    /// Decimal digits with an optional sign, as they stand on the wire.
    case bigNumber(ByteBuffer)
    /// Text without its three-letter format and colon.
    case verbatim(ByteBuffer)
    /// Data that the server sends without being asked; never an answer to a command.
    case push([RESPValue])

    /// The bytes of anything that is text or a byte string, errors excluded.
    @inlinable
    package var bytes: ByteBuffer? {
        switch self {
        case .simpleString(let bytes), .bulk(let bytes), .bigNumber(let bytes),
            .verbatim(let bytes):
            bytes
        case .error, .integer, .null, .array, .map, .set, .boolean, .double, .push:
            nil
        }
    }
}
