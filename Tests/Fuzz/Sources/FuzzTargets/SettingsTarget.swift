import PrustServer
import Yams

/// Settings from a file, the environment and the command line.
///
/// The parts of an input are separated by zero bytes: the file, lines `NAME=VALUE` of the
/// environment, arguments of `--set`. Properties: problems are bounded in number, on one line each,
/// and name a line of the file; text that is accepted means what YAML says it means; settings that
/// are accepted, written as a file and read again, are the same.
package func fuzzSettings(_ bytes: UnsafeRawBufferPointer) {
    let parts = Array(bytes).split(
        separator: 0,
        maxSplits: 2,
        omittingEmptySubsequences: false
    ).map(Array.init)
    let text = SettingsText(bytes: parts[0])
    SettingsCheck.checkProblems(of: text, byteCount: parts[0].count)
    if text.problems.isEmpty { SettingsCheck.compareWithYAML(parts[0], text.entries) }

    var loader = SettingsLoader()
    if !parts[0].isEmpty { loader.readFile(parts[0], name: "prustdb.yaml") }
    if parts.count > 1 { loader.readEnvironment(SettingsCheck.environment(parts[1])) }
    if parts.count > 2 { loader.readFlags(SettingsCheck.flags(parts[2])) }
    loader.finish(credentialsDirectory: "/run/credentials/prustdb")
    check(loader.problems.count <= SettingsText.problemCountMax, "too many problems")
    for problem in loader.problems { checkIsOneLine("\(problem)") }
    guard loader.problems.isEmpty, loader.settings.advertise != nil else { return }
    let manual = SettingsManual.yaml(loader.settings)
    var again = SettingsLoader()
    again.readFile(Array(manual.utf8), name: "again.yaml")
    again.finish(credentialsDirectory: nil)
    check(again.problems.isEmpty, "written again: \(again.problems) in\n\(manual)")
    check(again.settings == loader.settings, "written again:\n\(manual)")
    check(loader.settings.changes(to: again.settings).isEmpty, "changes to the same settings")
}

private enum SettingsCheck {
    static func environment(_ bytes: [UInt8]) -> [String: String] {
        var result: [String: String] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count > 1 ? String(parts[1]) : ""
            // Variables can hold newlines, and lines cannot.
            let unescaped = value.split(separator: "\\n", omittingEmptySubsequences: false)
            result[String(parts[0])] = unescaped.joined(separator: "\n")
        }
        return result
    }

    static func flags(_ bytes: [UInt8]) -> SettingFlags {
        var flags = SettingFlags()
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let text = String(line)
            switch line.first {
            case "d": flags.dataDirectory = String(text.dropFirst())
            case "p": flags.port = String(text.dropFirst())
            case "m": flags.metricsListen = String(text.dropFirst())
            default: flags.assignments.append(text)
            }
        }
        return flags
    }

    static func checkProblems(of text: SettingsText, byteCount: Int) {
        check(text.problems.count <= SettingsText.problemCountMax, "too many problems")
        check(text.entries.count <= SettingsText.entryCountMax, "too many entries")
        for problem in text.problems {
            check(problem.line > 0 && problem.line <= byteCount + 1, "line \(problem.line)")
            checkIsOneLine("\(problem.found), \(problem.expected)")
        }
        var line = 0
        for entry in text.entries {
            check(entry.line > line, "line \(entry.line) after \(line)")
            line = entry.line
        }
    }

    /// Only for ASCII: YAML 1.1 has line ends beyond it that YAML 1.2 and this reader do not have.
    static func compareWithYAML(_ bytes: [UInt8], _ entries: [SettingsText.Entry]) {
        guard bytes.allSatisfy({ (0x20..<0x7F).contains($0) || $0 == 0x0A || $0 == 0x0D }),
            !bytes.isEmpty
        else { return }
        let text = String(decoding: bytes, as: UTF8.self)
        let node: Yams.Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            return check(false, "accepted, but no YAML (\(error)):\n\(text)")
        }
        var expected: [String: SettingsText.Content] = [:]
        if let node { Self.flatten(node, prefix: "", into: &expected) }
        var found: [String: SettingsText.Content] = [:]
        for entry in entries { found[entry.name] = entry.content }
        check(found == expected, "found \(found), YAML has \(expected):\n\(text)")
    }

    private static func flatten(
        _ node: Yams.Node,
        prefix: String,
        into result: inout [String: SettingsText.Content]
    ) {
        guard case .mapping(let mapping) = node else {
            let isEmpty = prefix.isEmpty && Self.isNull(node)
            return check(isEmpty, "YAML has no mapping here: \(node)")
        }
        for (key, value) in mapping {
            let name = prefix + (key.scalar?.string ?? "?")
            switch value {
            case .mapping:
                result[name] = .section
                Self.flatten(value, prefix: name + ".", into: &result)
            case .sequence(let items):
                result[name] = .list(items.map { $0.scalar?.string ?? "?" })
            case .scalar(let scalar):
                result[name] = Self.isNull(value) ? .empty : .scalar(scalar.string)
            case .alias:
                check(false, "an alias was accepted")
            }
        }
    }

    private static func isNull(_ node: Yams.Node) -> Bool {
        guard let scalar = node.scalar, scalar.style == .plain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }
}
