/// A small deterministic random number generator for simulation and tests, never for secrets.
///
/// Source: xoshiro256** (Blackman and Vigna 2018), seeded by SplitMix64.
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    package init(seed: UInt64) {
        var mixer = seed
        func mix() -> UInt64 {
            mixer &+= 0x9E37_79B9_7F4A_7C15
            var value = mixer
            value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
            return value ^ (value >> 31)
        }
        self.state = (mix(), mix(), mix(), mix())
    }

    package mutating func next() -> UInt64 {
        let scaled = self.state.1 &* 5
        let result = (scaled << 7 | scaled >> 57) &* 9
        let shifted = self.state.1 << 17
        self.state.2 ^= self.state.0
        self.state.3 ^= self.state.1
        self.state.1 ^= self.state.2
        self.state.0 ^= self.state.3
        self.state.2 ^= shifted
        self.state.3 = self.state.3 << 45 | self.state.3 >> 19
        return result
    }
}
