import PrustCore

/// One thing that is wrong with the settings: where it stands, what was found and what should be
/// there instead.
package struct SettingsProblem: Error, Equatable, Sendable, Codable {
    /// A path, `environment` or `command line`.
    package var source: String
    package var line: Int?
    /// Name of the setting, or of the variable or flag that set it; empty for the text itself.
    package var field: String
    package var found: String
    package var expected: String

    package init(
        source: String,
        line: Int? = nil,
        field: String = "",
        found: String,
        expected: String
    ) {
        self.source = source
        self.line = line
        self.field = field
        self.found = found
        self.expected = expected
    }
}

extension SettingsProblem: CustomStringConvertible {
    /// One line: `prustdb.yaml:3: tls.key: found 7, expected a path`.
    package var description: String {
        let place = self.line.map { "\(self.source):\($0)" } ?? self.source
        let field = self.field.isEmpty ? "" : "\(self.field): "
        return "\(place): \(field)found \(self.found), expected \(self.expected)".printable
    }
}

/// Everything that is wrong with the settings, in the order of the sources.
package struct SettingsError: Error, Equatable, Sendable, CustomStringConvertible {
    package var problems: [SettingsProblem]

    package init(problems: [SettingsProblem]) {
        self.problems = problems
    }

    /// One line a problem.
    package var description: String {
        self.problems.map(\.description).joined(separator: "\n")
    }
}
