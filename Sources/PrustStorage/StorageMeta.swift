internal import PrustCore

/// The META file: which format a directory has and who it is.
struct StorageMeta: Equatable, Sendable {
    static let formatVersion: UInt32 = 1
    static let byteCountMax = 4096

    var storageID: StorageID
    /// Milliseconds since 1970.
    var createdAt: Int64

    /// Lines of text, so that an operator can read them; the last one is a checksum of the others.
    func encoded() -> [UInt8] {
        let text = """
            prustdb storage
            format \(Self.formatVersion)
            storage-id \(self.storageID)
            created \(self.createdAt)

            """
        return Array((text + "crc32c \(Self.checksum(text))\n").utf8)
    }

    init(storageID: StorageID, createdAt: Int64) {
        self.storageID = storageID
        self.createdAt = createdAt
    }

    init(decoding bytes: [UInt8], path: String) throws(StorageError) {
        let text = String(decoding: bytes, as: UTF8.self)
        var fields: [String: String] = [:]
        var covered = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let words = line.split(separator: " ", maxSplits: 1)
            guard words.count == 2 else { continue }
            fields[String(words[0])] = String(words[1])
            if words[0] != "crc32c" { covered += line + "\n" }
        }
        guard fields["prustdb"] == "storage", let format = fields["format"].flatMap(UInt32.init)
        else { throw .damaged(path: path, reason: "it does not begin like a META file") }
        // A later format may have another checksum, so the format is looked at first.
        guard format <= Self.formatVersion else {
            throw .newerFormat(path: path, found: format, supported: Self.formatVersion)
        }
        guard fields["crc32c"] == Self.checksum(covered),
            let identifier = fields["storage-id"].flatMap({ Identifier256(hex: $0) }),
            let createdAt = fields["created"].flatMap(Int64.init)
        else { throw .damaged(path: path, reason: "its checksum does not match its contents") }
        self.init(storageID: StorageID(identifier), createdAt: createdAt)
    }

    private static func checksum(_ text: String) -> String {
        let checksum = Array(text.utf8).withUnsafeBytes { Checksum.crc32c($0) }
        let digits = String(checksum, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
