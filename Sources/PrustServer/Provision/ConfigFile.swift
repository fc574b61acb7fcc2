/// Sets values in the text of a settings file and leaves everything else as it stands.
package enum ConfigFile {
    /// Puts a setting without a section into a file.
    ///
    /// A line that sets it is replaced, else the first comment that shows it (`# name: ...`), else
    /// a line is added at the end.
    ///
    /// - Parameters:
    ///   - name: Of a setting at the top level.
    ///   - value: Its text.
    ///   - text: The file.
    /// - Returns: The new file.
    package static func setting(_ name: String, to value: String, in text: String) -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        let line = "\(name): \(SettingsManual.quoted(value))"
        if let index = lines.firstIndex(where: { $0.hasPrefix("\(name):") }) {
            lines[index] = line
        } else if let index = lines.firstIndex(where: { Self.shows(name, $0) }) {
            lines[index] = line
        } else {
            lines.append(line)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func shows(_ name: String, _ line: String) -> Bool {
        guard line.hasPrefix("#") else { return false }
        return line.drop { $0 == "#" || $0 == " " }.hasPrefix("\(name):")
    }
}
