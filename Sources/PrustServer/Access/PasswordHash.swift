import FoundationEssentials
import PrustCore
import PrustTLS

/// A password as it is stored: scrypt, its cost and its salt, written as in the PHC string format
/// (`$scrypt$ln=15,r=8,p=1$salt$key`).
package struct PasswordHash: Equatable, Sendable {
    /// N is 2^costLog2; memory is 128 * N * r bytes.
    package struct Cost: Equatable, Sendable {
        package var costLog2: Int
        package var blockSize: Int
        package var parallelism: Int

        /// 32 MiB and about 80 ms of one core.
        package static let standard = Self(costLog2: 15, blockSize: 8, parallelism: 1)

        package init(costLog2: Int, blockSize: Int, parallelism: Int) {
            self.costLog2 = costLog2
            self.blockSize = blockSize
            self.parallelism = parallelism
        }

        /// Cheap enough that a stored hash cannot be used to exhaust the node.
        var isAcceptable: Bool {
            (1...17).contains(self.costLog2) && (1...8).contains(self.blockSize)
                && (1...4).contains(self.parallelism)
        }
    }

    package static let saltByteCount = 16
    package static let keyByteCount = 32
    /// Passwords are long enough that guessing against the limit of attempts is hopeless.
    package static let passwordByteCountMin = 8

    package let cost: Cost
    package let salt: [UInt8]
    package let key: [UInt8]

    /// Hashes a new password.
    ///
    /// - Parameters:
    ///   - password: Its bytes.
    ///   - cost: Less than the standard only in tests.
    /// - Throws: ``AccessError`` when it is too short or too long, or the system has no memory.
    package init(password: [UInt8], cost: Cost = .standard) throws(AccessError) {
        let range = Self.passwordByteCountMin...Limits.passwordByteCountMax
        guard range.contains(password.count) else {
            throw AccessError(
                .invalid,
                "password: expected \(range.lowerBound) to \(range.upperBound) bytes"
            )
        }
        do {
            let salt = try Crypto.randomBytes(Self.saltByteCount)
            try self.init(password: password, salt: salt, cost: cost)
        } catch {
            throw AccessError(.invalid, "password: \(error)")
        }
    }

    private init(password: [UInt8], salt: [UInt8], cost: Cost) throws {
        self.cost = cost
        self.salt = salt
        self.key = try Self.derive(password: password, salt: salt, cost: cost)
    }

    /// Reads the stored form; `nil` for anything else or a cost out of bounds.
    package init?(_ text: String) {
        guard text.utf8.count <= 256 else { return nil }
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0].isEmpty, parts[1] == "scrypt",
            let cost = Self.cost(parts[2]),
            let salt = Self.bytes(parts[3]), let key = Self.bytes(parts[4]),
            salt.count == Self.saltByteCount, key.count == Self.keyByteCount
        else { return nil }
        self.cost = cost
        self.salt = salt
        self.key = key
    }

    /// A hash that no password matches, at the same cost, for names that do not exist.
    package static func unmatchable() -> PasswordHash {
        let salt = (try? Crypto.randomBytes(Self.saltByteCount)) ?? Array(repeating: 7, count: 16)
        return PasswordHash(cost: .standard, salt: salt, key: [])
    }

    private init(cost: Cost, salt: [UInt8], key: [UInt8]) {
        self.cost = cost
        self.salt = salt
        self.key = key
    }

    /// Whether it is the password of this hash; takes the full cost in any case.
    package func matches(_ password: [UInt8]) -> Bool {
        let key = try? Self.derive(password: password, salt: self.salt, cost: self.cost)
        guard let key, self.key.count == key.count else { return false }
        return Crypto.isEqual(key, self.key)
    }

    private static func derive(password: [UInt8], salt: [UInt8], cost: Cost) throws -> [UInt8] {
        try Crypto.scrypt(
            password: password,
            salt: salt,
            n: 1 << UInt64(cost.costLog2),
            r: UInt64(cost.blockSize),
            p: UInt64(cost.parallelism),
            keyByteCount: Self.keyByteCount
        )
    }

    private static func cost(_ text: Substring) -> Cost? {
        let fields = text.split(separator: ",", omittingEmptySubsequences: false)
        let prefixes = ["ln=", "r=", "p="]
        guard fields.count == prefixes.count else { return nil }
        var numbers: [Int] = []
        for (field, prefix) in zip(fields, prefixes) {
            guard field.hasPrefix(prefix),
                let number = SettingUnit.number(field.utf8.dropFirst(prefix.utf8.count))
            else { return nil }
            numbers.append(number)
        }
        let cost = Cost(costLog2: numbers[0], blockSize: numbers[1], parallelism: numbers[2])
        return cost.isAcceptable ? cost : nil
    }

    private static func bytes(_ text: Substring) -> [UInt8]? {
        let padding = String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        return Data(base64Encoded: String(text) + padding).map { Array($0) }
    }
}

extension PasswordHash: CustomStringConvertible {
    package var description: String {
        func text(_ bytes: [UInt8]) -> String {
            String(Data(bytes).base64EncodedString().prefix { $0 != "=" })
        }
        let cost = "ln=\(self.cost.costLog2),r=\(self.cost.blockSize),p=\(self.cost.parallelism)"
        return "$scrypt$\(cost)$\(text(self.salt))$\(text(self.key))"
    }
}
