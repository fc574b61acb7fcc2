import PrustServer
import Testing

@Suite struct GlobPatternTests {
    static let table: [(pattern: String, text: String, matches: Bool)] = [
        ("", "", true), ("", "a", false), ("*", "", true), ("*", "abc", true),
        ("a*c", "abc", true), ("a*c", "ac", true), ("a*c", "abd", false), ("a?c", "abc", true),
        ("a?c", "ac", false), ("h[ae]llo", "hello", true), ("h[ae]llo", "hillo", false),
        ("h[^e]llo", "hallo", true), ("h[^e]llo", "hello", false), ("h[a-c]llo", "hbllo", true),
        ("h[c-a]llo", "hbllo", true), ("\\*", "*", true), ("\\*", "a", false), ("[", "[", false),
        ("[a", "a", true), ("a\\", "a\\", true), ("**a**", "bab", true), ("[\\]]", "]", true),
    ]

    @Test(arguments: table)
    func patterns(pattern: String, text: String, matches: Bool) {
        #expect(GlobPattern.matches(Array(text.utf8), Array(pattern.utf8)) == matches)
    }

    /// What takes exponential time elsewhere takes the product of the lengths here.
    @Test func manyStarsEnd() {
        let pattern = Array(String(repeating: "a*", count: 200).utf8) + Array("b".utf8)
        let text = Array(String(repeating: "a", count: 4_000).utf8)
        #expect(!GlobPattern.matches(text, pattern))
    }
}
