/// Patterns of SCAN with MATCH: `*`, `?`, `[a-z]`, `[^a]` and `\` as in Redis.
///
/// Only the last star is ever gone back to, so the time is bounded by the product of the lengths.
package enum GlobPattern {
    package static func matches(_ text: [UInt8], _ pattern: [UInt8]) -> Bool {
        var textIndex = 0
        var patternIndex = 0
        var star: (pattern: Int, text: Int)?
        while textIndex < text.count {
            if patternIndex < pattern.count, pattern[patternIndex] == UInt8(ascii: "*") {
                patternIndex += 1
                star = (patternIndex, textIndex)
            } else if let next = Self.step(pattern, patternIndex, text[textIndex]) {
                patternIndex = next
                textIndex += 1
            } else if let last = star {
                textIndex = last.text + 1
                patternIndex = last.pattern
                star = (last.pattern, textIndex)
            } else {
                return false
            }
        }
        while patternIndex < pattern.count, pattern[patternIndex] == UInt8(ascii: "*") {
            patternIndex += 1
        }
        return patternIndex == pattern.count
    }

    /// The place after the element at `index` if that element matches the byte.
    private static func step(_ pattern: [UInt8], _ index: Int, _ byte: UInt8) -> Int? {
        guard index < pattern.count else { return nil }
        switch pattern[index] {
        case UInt8(ascii: "?"):
            return index + 1
        case UInt8(ascii: "["):
            return Self.stepClass(pattern, index + 1, byte)
        case UInt8(ascii: "\\") where index + 1 < pattern.count:
            return pattern[index + 1] == byte ? index + 2 : nil
        default:
            return pattern[index] == byte ? index + 1 : nil
        }
    }

    private static func stepClass(_ pattern: [UInt8], _ start: Int, _ byte: UInt8) -> Int? {
        var index = start
        let isNegated = index < pattern.count && pattern[index] == UInt8(ascii: "^")
        if isNegated { index += 1 }
        var isFound = false
        while index < pattern.count, pattern[index] != UInt8(ascii: "]") {
            if pattern[index] == UInt8(ascii: "\\"), index + 1 < pattern.count {
                index += 1
                if pattern[index] == byte { isFound = true }
                index += 1
            } else if index + 2 < pattern.count, pattern[index + 1] == UInt8(ascii: "-") {
                let low = min(pattern[index], pattern[index + 2])
                let high = max(pattern[index], pattern[index + 2])
                if (low...high).contains(byte) { isFound = true }
                index += 3
            } else {
                if pattern[index] == byte { isFound = true }
                index += 1
            }
        }
        return isFound != isNegated ? min(index + 1, pattern.count) : nil
    }
}
