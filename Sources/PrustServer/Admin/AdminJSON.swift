import FoundationEssentials
import PrustCore

/// A body of a request: what is not one of its fields is an error, so that a misspelt field is
/// never silently ignored.
package protocol AdminBody: Decodable {
    static var fields: Set<String> { get }
}

/// JSON of the admin API.
package enum AdminJSON {
    private struct AnyKey: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private struct Strict<Body: AdminBody>: Decodable {
        var body: Body

        init(from decoder: any Decoder) throws {
            let keys = try decoder.container(keyedBy: AnyKey.self).allKeys
            for key in keys where !Body.fields.contains(key.stringValue) {
                throw DecodingError.dataCorrupted(
                    .init(
                        codingPath: [key],
                        debugDescription: "expected only "
                            + Body.fields.sorted().joined(separator: ", ")
                    )
                )
            }
            self.body = try Body(from: decoder)
        }
    }

    /// Reads a body and checks its fields.
    package static func decode<Body: AdminBody>(
        _ type: Body.Type,
        from bytes: [UInt8]
    ) throws(AdminFault) -> Body {
        do {
            return try JSONDecoder().decode(Strict<Body>.self, from: Data(bytes)).body
        } catch {
            throw AdminFault(
                status: 400,
                code: "bad-body",
                message: "body: \(JSONFault.message(error))"
            )
        }
    }

    /// Writes a value on one line, keys in order; a value that JSON cannot hold gives `null`.
    package static func encode(_ value: some Encodable, isPretty: Bool = false) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if isPretty { encoder.outputFormatting.insert(.prettyPrinted) }
        let data = (try? encoder.encode(value)) ?? Data("null".utf8)
        return Array(data) + [UInt8(ascii: "\n")]
    }

    /// Reads an answer of the same version of the program; further fields are left out.
    package static func decodeAnswer<Value: Decodable>(
        _ type: Value.Type,
        from bytes: [UInt8]
    ) -> Value? {
        try? JSONDecoder().decode(type, from: Data(bytes))
    }
}
