/// Finds the word that somebody probably meant.
package enum Spelling {
    /// Longer words are not compared: the cost grows with the product of the lengths.
    private static let byteCountMax = 100

    /// The nearest candidate, if it is near enough to be worth proposing.
    package static func nearest(to word: String, among candidates: [String]) -> String? {
        guard word.utf8.count <= Self.byteCountMax else { return nil }
        var best: (distance: Int, name: String)?
        for candidate in candidates {
            let distance = Self.distance(Array(word.utf8), Array(candidate.utf8))
            if distance <= max(2, candidate.utf8.count / 4), distance < best?.distance ?? .max {
                best = (distance, candidate)
            }
        }
        if let best { return best.name }
        // The right key in the wrong section.
        guard let last = word.split(separator: ".").last else { return nil }
        let sameKey = candidates.filter { $0.split(separator: ".").last == last }
        return sameKey.count == 1 ? sameKey.first : nil
    }

    /// Edits (insert, delete, replace, swap of neighbours) between two words.
    ///
    /// Source: optimal string alignment, Damerau 1964.
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var before: [Int] = []
        var previous = Array(0...right.count)
        for row in left.indices {
            var current = [row + 1]
            for column in right.indices {
                let isEqual = left[row] == right[column]
                var cost = min(
                    previous[column + 1] + 1,
                    current[column] + 1,
                    previous[column] + (isEqual ? 0 : 1)
                )
                if row > 0, column > 0, left[row] == right[column - 1],
                    left[row - 1] == right[column]
                {
                    cost = min(cost, before[column - 1] + 1)
                }
                current.append(cost)
            }
            before = previous
            previous = current
        }
        return previous.last ?? left.count
    }
}
