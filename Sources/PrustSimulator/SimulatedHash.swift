package import PrustCore

/// A key ID without a cryptographic library: well spread, deterministic, and for simulation only.
package enum SimulatedHash {
    @Sendable
    package static func keyID(of key: UnsafeRawBufferPointer) -> KeyID {
        var seed: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in key { seed = (seed ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        var random = SeededRandom(seed: seed)
        return KeyID(
            Identifier256(
                word0: random.next(),
                word1: random.next(),
                word2: random.next(),
                word3: random.next()
            )
        )
    }
}
