/// What a server did that no RESP server may do, or may not do within our bounds.
///
/// The connection cannot be read any further after any of these.
package enum RESPReplyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The first byte of a reply is none of RESP's types.
    case unknownType(UInt8)
    /// A line that does not end in CR LF, or has one of the two inside, or lacks its type.
    case malformedLine
    /// A length or an integer that is not a decimal number of 64 bits, or is negative.
    case malformedNumber
    /// A boolean, double, big number or verbatim string that is none.
    case malformedValue
    /// A byte string that is not followed by CR LF.
    case unterminatedBulk
    /// Unasked data inside a reply.
    case misplacedPush
    case lineTooLong(byteCountMax: Int)
    case bulkTooLarge(byteCount: Int64, byteCountMax: Int)
    case replyTooLarge(byteCountMax: Int)
    case tooManyElements(countMax: Int)
    case tooDeep(depthMax: Int)

    package var description: String {
        switch self {
        case .unknownType(let byte): "unknown reply type, byte \(byte)"
        case .malformedLine: "a line of a reply does not end in CR LF"
        case .malformedNumber: "a number in a reply is malformed"
        case .malformedValue: "a value in a reply is malformed"
        case .unterminatedBulk: "a byte string in a reply does not end in CR LF"
        case .misplacedPush: "push data inside a reply"
        case .lineTooLong(let byteCountMax):
            "a line of a reply is longer than \(byteCountMax) bytes"
        case .bulkTooLarge(let byteCount, let byteCountMax):
            "a byte string of a reply has \(byteCount) bytes, at most \(byteCountMax) are accepted"
        case .replyTooLarge(let byteCountMax):
            "a reply is longer than \(byteCountMax) bytes"
        case .tooManyElements(let countMax):
            "a reply has more than \(countMax) elements"
        case .tooDeep(let depthMax):
            "a reply is nested deeper than \(depthMax) levels"
        }
    }
}
