private import NIOCore
import PrustWire

/// Turns a reply into what a method returns, or into the error that it is.
struct ReplyReader {
    let reply: RESPValue
    let isWrite: Bool

    /// Takes a reply that is no error of the server.
    init(_ reply: RESPValue, isWrite: Bool) throws(ClientError) {
        if case .error(let text) = reply {
            let error = Self.error(String(buffer: text))
            throw isWrite ? error : error.with(outcome: .notApplied)
        }
        self.reply = reply
        self.isWrite = isWrite
    }

    /// The error that a server's error line stands for; its first word is its code.
    static func error(_ line: String) -> ClientError {
        let text = String(line.unicodeScalars.map { $0.value < 0x20 ? " " : Character($0) })
        let code: ClientError.Code
        var outcome = ClientError.Outcome.notApplied
        switch text.prefix(while: { $0 != " " }) {
        case "WRONGTYPE": code = .wrongType
        case "NOAUTH", "WRONGPASS": code = .authenticationFailed
        case "NOPERM": code = .permissionDenied
        case "NOTAPPLIED": code = .notApplied
        case "UNKNOWN":
            code = .unknownOutcome
            outcome = .unknown
        default: code = .serverError
        }
        return ClientError(code, text, outcome: outcome)
    }

    func bytes() throws(ClientError) -> [UInt8]? {
        if case .null = self.reply { return nil }
        guard let bytes = self.reply.bytes else { throw self.unexpected("a byte string") }
        return Array(bytes.readableBytesView)
    }

    func integer() throws(ClientError) -> Int64 {
        guard case .integer(let number) = self.reply else { throw self.unexpected("an integer") }
        return number
    }

    func flag() throws(ClientError) -> Bool { try self.integer() != 0 }

    /// `true` for OK and `false` for null, the answers of a conditional SET.
    func isDone() throws(ClientError) -> Bool {
        switch self.reply {
        case .null: return false
        case .simpleString, .bulk: return true
        case .error, .integer, .array, .map, .set, .boolean, .double, .bigNumber, .verbatim, .push:
            throw self.unexpected("OK or null")
        }
    }

    func array() throws(ClientError) -> [RESPValue] {
        guard case .array(let elements) = self.reply else { throw self.unexpected("an array") }
        return elements
    }

    func optionalByteStrings(count: Int) throws(ClientError) -> [[UInt8]?] {
        let elements = try self.array()
        guard elements.count == count else {
            throw self.unexpected("an array of \(count) elements")
        }
        var result: [[UInt8]?] = []
        result.reserveCapacity(count)
        for element in elements {
            result.append(try ReplyReader(element, isWrite: self.isWrite).bytes())
        }
        return result
    }

    /// The cursor and the keys of one page of SCAN.
    func page() throws(ClientError) -> (cursor: [UInt8], keys: [[UInt8]]) {
        let elements = try self.array()
        guard elements.count == 2, let cursor = elements[0].bytes, cursor.readableBytes <= 128,
            case .array(let keys) = elements[1]
        else { throw self.unexpected("a cursor and an array of keys") }
        var result: [[UInt8]] = []
        result.reserveCapacity(keys.count)
        for key in keys {
            guard let bytes = key.bytes else { throw self.unexpected("an array of keys") }
            result.append(Array(bytes.readableBytesView))
        }
        return (Array(cursor.readableBytesView), result)
    }

    /// A write that was answered by anything but an error was done.
    func unexpected(_ expected: String) -> ClientError {
        ClientError(
            .protocolViolation,
            "the server's reply is not \(expected)",
            outcome: self.isWrite ? .applied : .notApplied
        )
    }
}
