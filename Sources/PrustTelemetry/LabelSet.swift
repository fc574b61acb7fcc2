/// Labels of one series, sorted by name and rendered once.
struct LabelSet: Hashable, Comparable, Sendable {
    let names: [String]
    /// `a="x",b="y"`, escaped, without the braces.
    let text: String

    /// Our own code names labels, so a bad name is a bug.
    init(_ labels: [String: String]) {
        let sorted = labels.sorted { $0.key < $1.key }
        for (name, _) in sorted {
            if let problem = MetricName.problem(label: name) {
                preconditionFailure("label '\(name)' \(problem)")
            }
        }
        self.names = sorted.map(\.key)
        self.text = sorted.map { name, value in
            "\(name)=\"\(Exposition.escape(labelValue: value))\""
        }.joined(separator: ",")
    }

    static func < (left: Self, right: Self) -> Bool {
        left.text < right.text
    }
}
