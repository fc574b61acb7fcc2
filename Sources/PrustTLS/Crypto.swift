internal import COpenSSL
package import PrustCore

/// Randomness, digests and passwords, from libcrypto.
package enum Crypto {
    /// Bytes of a cryptographically secure generator.
    package static func randomBytes(_ count: Int) throws(TLSError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard let length = Int32(exactly: count), RAND_bytes(&bytes, length) == 1 else {
            throw .library("random bytes")
        }
        return bytes
    }

    /// Where a key lives: SHA-256 of its bytes.
    ///
    /// Allocates nothing.
    package static func keyID(of bytes: UnsafeRawBufferPointer) -> KeyID {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutablePointer(to: &words) { pointer in
            pointer.withMemoryRebound(to: UInt64.self, capacity: 4) { start in
                prust_sha256_words(
                    bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    bytes.count,
                    start
                )
            }
        }
        return KeyID(
            Identifier256(word0: words.0, word1: words.1, word2: words.2, word3: words.3)
        )
    }

    package static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        prust_sha256(bytes, bytes.count, &digest)
        return digest
    }

    /// Derives a key from a password as RFC 7914 says.
    ///
    /// Memory is 128 x n x r bytes and a little; more than 256 MiB of it is refused, so that stored
    /// parameters cannot bring a node down.
    package static func scrypt(
        password: [UInt8],
        salt: [UInt8],
        n: UInt64,
        r: UInt64,
        p: UInt64,
        keyByteCount: Int
    ) throws(TLSError) -> [UInt8] {
        let memoryMax: UInt64 = 256 * 1024 * 1024
        guard (1...1024).contains(keyByteCount) else {
            throw TLSError(.badParameters, "scrypt: expected a key of 1 to 1024 bytes")
        }
        var key = [UInt8](repeating: 0, count: keyByteCount)
        let result = password.withUnsafeBytes { buffer in
            // An empty array has no address, which OpenSSL would take for a dry run.
            var empty: CChar = 0
            return withUnsafePointer(to: &empty) { fallback in
                EVP_PBE_scrypt(
                    buffer.baseAddress?.assumingMemoryBound(to: CChar.self) ?? fallback,
                    buffer.count,
                    salt,
                    salt.count,
                    n,
                    r,
                    p,
                    memoryMax,
                    &key,
                    keyByteCount
                )
            }
        }
        guard result == 1 else {
            let reason = OpenSSLErrors.take()
            throw TLSError(.badParameters, "scrypt: n \(n), r \(r), p \(p): \(reason)")
        }
        return key
    }

    /// Compares in a time that depends on the lengths only.
    package static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
    }
}

extension NodeID {
    /// A new identity from the operating system's generator.
    package static func random() throws(TLSError) -> Self {
        Self(try Identifier256.random())
    }
}

extension StorageID {
    /// A new identity from the operating system's generator.
    package static func random() throws(TLSError) -> Self {
        Self(try Identifier256.random())
    }
}

extension Identifier256 {
    fileprivate static func random() throws(TLSError) -> Self {
        guard let identifier = Self(bytes: try Crypto.randomBytes(Self.byteCount)) else {
            throw .library("random bytes")
        }
        return identifier
    }
}
