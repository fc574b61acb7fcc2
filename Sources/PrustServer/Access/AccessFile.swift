import FoundationEssentials
import PrustTLS

/// The file of users and roles, `identity/access.json`.
package struct AccessFile: Sendable {
    /// Room for as many users as ``PrustCore/Limits/userCountMax`` allows.
    package static let byteCountMax = 64 * 1024 * 1024
    package static let name = "access.json"

    package let path: String

    package init(path: String) {
        self.path = path
    }

    /// Reads and checks the whole file.
    package func load() throws(AccessError) -> AccessDocument {
        do {
            let bytes = try PrivateFile.read(path: self.path, byteCountMax: Self.byteCountMax)
            return try Self.decode(bytes)
        } catch let error as AccessError {
            throw AccessError(error.code, "\(self.path): \(error.message)")
        } catch {
            throw AccessError(.storage, "\(error)")
        }
    }

    /// Replaces the file in one step: after a crash there is the old one or the new one.
    package func save(_ document: AccessDocument) throws(AccessError) {
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            let bytes = Array(try encoder.encode(document))
            try PrivateFile.write(bytes + [UInt8(ascii: "\n")], path: self.path, mode: 0o600)
        } catch {
            throw AccessError(.storage, "cannot save users and roles: \(error)")
        }
    }

    /// Reads the JSON text of a document.
    package static func decode(_ bytes: [UInt8]) throws(AccessError) -> AccessDocument {
        let document: AccessDocument
        do {
            document = try JSONDecoder().decode(AccessDocument.self, from: Data(bytes))
        } catch {
            throw AccessError(.storage, JSONFault.message(error))
        }
        try document.validate()
        return document
    }
}

/// Says in one line what was wrong with JSON text.
enum JSONFault {
    static func message(_ error: any Error) -> String {
        func place(_ context: DecodingError.Context, _ key: (any CodingKey)? = nil) -> String {
            let path = (context.codingPath + (key.map { [$0] } ?? [])).map { key in
                key.intValue.map { "[\($0)]" } ?? key.stringValue
            }
            return path.isEmpty ? "the text" : path.joined(separator: ".")
        }
        switch error as? DecodingError {
        case .typeMismatch(let type, let context):
            return "\(place(context)): expected \(type)"
        case .valueNotFound(let type, let context):
            return "\(place(context)): expected \(type), found null"
        case .keyNotFound(let key, let context):
            return "\(place(context, key)): is missing"
        case .dataCorrupted(let context):
            return "\(place(context)): not valid (\(context.debugDescription))"
        case nil, .some:
            return "not valid JSON"
        }
    }
}
