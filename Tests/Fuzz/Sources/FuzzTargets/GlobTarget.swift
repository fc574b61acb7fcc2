import PrustServer

/// Patterns of SCAN against the matcher of Redis, which is written again here.
package func fuzzGlob(_ bytes: UnsafeRawBufferPointer) {
    let parts = Array(bytes).split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
    let pattern = Array(parts[0])
    let text = parts.count > 1 ? Array(parts[1]) : []
    let isMatch = GlobPattern.matches(text, pattern)
    // Redis' own callers keep the empty text from it. Its time grows fast with the stars.
    guard !text.isEmpty, text.count <= 64, pattern.count <= 64,
        pattern.count(where: { $0 == UInt8(ascii: "*") }) <= 4
    else { return }
    var redis = RedisGlob()
    let expected = redis.matches(pattern[...], text[...])
    check(isMatch == expected, "\(pattern) on \(text): \(isMatch), Redis says \(expected)")
}

/// `stringmatchlen_impl` of Redis 7 (util.c), without its switch for letters of either case.
private struct RedisGlob {
    private var skipsLonger = false

    mutating func matches(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        var pattern = pattern
        var text = text
        while let element = pattern.first, let byte = text.first {
            switch element {
            case UInt8(ascii: "*"):
                return self.star(pattern, text)
            case UInt8(ascii: "?"):
                break
            case UInt8(ascii: "["):
                guard Self.takeClass(&pattern, byte) else { return false }
            case UInt8(ascii: "\\") where pattern.count >= 2:
                pattern.removeFirst()
                guard pattern.first == byte else { return false }
            default:
                guard element == byte else { return false }
            }
            text.removeFirst()
            if !pattern.isEmpty { pattern.removeFirst() }
            if text.isEmpty {
                while pattern.first == UInt8(ascii: "*") { pattern.removeFirst() }
                break
            }
        }
        return pattern.isEmpty && text.isEmpty
    }

    private mutating func star(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        let rest = pattern.drop { $0 == UInt8(ascii: "*") }
        if rest.isEmpty { return true }
        var text = text
        while !text.isEmpty {
            if self.matches(rest, text) { return true }
            if self.skipsLonger { return false }
            text.removeFirst()
        }
        self.skipsLonger = true
        return false
    }

    /// Steps to the last byte of a class, and says whether it holds a byte.
    private static func takeClass(_ pattern: inout ArraySlice<UInt8>, _ byte: UInt8) -> Bool {
        pattern.removeFirst()
        let isNegated = pattern.first == UInt8(ascii: "^")
        if isNegated { pattern.removeFirst() }
        var isFound = false
        while let element = pattern.first {
            if element == UInt8(ascii: "\\"), pattern.count >= 2 {
                pattern.removeFirst()
                if pattern.first == byte { isFound = true }
            } else if element == UInt8(ascii: "]") {
                break
            } else if pattern.count >= 3, pattern[pattern.startIndex + 1] == UInt8(ascii: "-") {
                let other = pattern[pattern.startIndex + 2]
                pattern.removeFirst(2)
                if (min(element, other)...max(element, other)).contains(byte) { isFound = true }
            } else if element == byte {
                isFound = true
            }
            pattern.removeFirst()
        }
        return isFound != isNegated
    }
}
