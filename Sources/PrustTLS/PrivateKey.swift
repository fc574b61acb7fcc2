internal import COpenSSL
internal import PrustCore

/// A private key of a kind that PrustDB uses.
package struct PrivateKey: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case p256
        case p384
        case ed25519

        static let expected = "an EC P-256, EC P-384 or Ed25519 key"

        /// Looks at a public or private key; `nil` for all other kinds.
        init?(key: OpaquePointer?) {
            guard let key else { return nil }
            switch EVP_PKEY_get_base_id(key) {
            case EVP_PKEY_ED25519:
                self = .ed25519
            case EVP_PKEY_EC:
                var name = [CChar](repeating: 0, count: 64)
                var count = 0
                guard EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1 else {
                    ERR_clear_error()
                    return nil
                }
                let text = String(
                    decoding: name.prefix(count).map { UInt8(bitPattern: $0) },
                    as: UTF8.self
                )
                switch text {
                case "prime256v1": self = .p256
                case "secp384r1": self = .p384
                default: return nil
                }
            default:
                return nil
            }
        }
    }

    package let kind: Kind
    let handle: OpenSSLObject

    /// Makes a new key.
    package static func generate(_ kind: Kind = .p256) throws(TLSError) -> Self {
        let pointer =
            switch kind {
            case .p256: prust_generate_ec("P-256")
            case .p384: prust_generate_ec("P-384")
            case .ed25519: prust_generate_ed25519()
            }
        guard let handle = OpenSSLObject(pointer, release: EVP_PKEY_free) else {
            throw .library("key generation")
        }
        return Self(kind: kind, handle: handle)
    }

    private init(kind: Kind, handle: OpenSSLObject) {
        self.kind = kind
        self.handle = handle
    }

    /// Reads one key in PEM, PKCS#8 or the older forms, not encrypted.
    package init(pem: [UInt8], name: String = "private key") throws(TLSError) {
        guard pem.count <= Limits.pemByteCountMax else {
            throw TLSError(
                .fileTooLarge,
                "\(name): size: expected at most \(Limits.pemByteCountMax) bytes"
            )
        }
        let pointer = MemoryBIO.reading(pem) { prust_pem_read_key($0) }
        guard let handle = OpenSSLObject(pointer, release: EVP_PKEY_free) else {
            ERR_clear_error()
            throw TLSError(
                .notPEM,
                "\(name): expected a private key in PEM, not encrypted "
                    + "(-----BEGIN PRIVATE KEY-----)"
            )
        }
        guard let kind = Kind(key: handle.pointer) else {
            throw TLSError(.wrongKeyType, "\(name): key type: expected \(Kind.expected)")
        }
        self.init(kind: kind, handle: handle)
    }

    /// PKCS#8 in PEM, not encrypted.
    package func pem() throws(TLSError) -> [UInt8] {
        let handle = self.handle
        guard let bytes = MemoryBIO.written(by: { prust_pem_write_key($0, handle.pointer) }) else {
            throw .library("key encoding")
        }
        return bytes
    }

    /// Writes the key to a file that only its owner can read.
    package func write(path: String) throws(TLSError) {
        try PrivateFile.write(try self.pem(), path: path, mode: 0o600)
    }
}
