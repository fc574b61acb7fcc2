/// Writes the documentation of the settings from the table.
package enum SettingsManual {
    /// `Docs/ops/settings.md` (a test compares it).
    package static func markdown() -> String {
        var lines = [Self.introduction, ""]
        lines.append("| Setting | What may stand there | Default | Reload | What it is for |")
        lines.append("| --- | --- | --- | --- | --- |")
        for key in SettingTable.all {
            let value = key.defaultValue.map { "`\($0)`" } ?? key.derivedDefault ?? "none"
            let reload = key.isReloadable ? "yes" : "restart"
            lines.append(
                "| `\(key.name)` | \(key.expectation) | \(value) | \(reload) | \(key.summary) |"
            )
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A settings file with every setting as it stands, or at its default, and what it is for.
    package static func yaml(_ settings: Settings, origins: [String: String] = [:]) -> String {
        var lines: [String] = []
        var section = ""
        for key in SettingTable.all.sorted(by: Self.isBefore) {
            let parts = key.name.split(separator: ".").map(String.init)
            let indent = parts.count > 1 ? "    " : ""
            let keySection = parts.count > 1 ? parts[0] : ""
            if keySection != section {
                section = keySection
                lines.append("\(section):")
            }
            lines.append("\(indent)# \(key.summary)")
            if let origin = origins[key.name] { lines.append("\(indent)# From \(origin).") }
            let name = parts.last ?? key.name
            if let value = key.read(settings) {
                lines.append("\(indent)\(name): \(Self.quoted(value.description))")
            } else {
                lines.append("\(indent)# \(name): (\(key.defaultText ?? "required"))")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Keys without a section come first, then sections in the order of the table.
    private static func isBefore(_ left: SettingKey, _ right: SettingKey) -> Bool {
        let order = Self.sectionOrder
        let leftSection = order[Self.section(left)] ?? 0
        let rightSection = order[Self.section(right)] ?? 0
        guard leftSection == rightSection else { return leftSection < rightSection }
        return (Self.position[left.name] ?? 0) < (Self.position[right.name] ?? 0)
    }

    private static func section(_ key: SettingKey) -> String {
        let parts = key.name.split(separator: ".")
        return parts.count > 1 ? String(parts[0]) : ""
    }

    private static let position: [String: Int] = Dictionary(
        SettingTable.all.enumerated().map { ($0.element.name, $0.offset) },
        uniquingKeysWith: { first, _ in first }
    )

    private static let sectionOrder: [String: Int] = {
        var order = ["": 0]
        for key in SettingTable.all where order[Self.section(key)] == nil {
            order[Self.section(key)] = order.count
        }
        return order
    }()

    /// In quotes where the plain text would not read back as the same value.
    static func quoted(_ text: String) -> String {
        if case .success(.scalar(let read)) = SettingsScalar.read(Array(text.utf8)[...]),
            read == text
        {
            return text
        }
        return "'"
            + text.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: "''") + "'"
    }

    private static let introduction = """
        # Settings

        This page is written from the table in `Sources/PrustServer/Settings/SettingTable.swift`;
        `prustadm config show --defaults` prints the same as a file.

        The daemon reads the file given by `--config` (YAML), then variables of the environment
        (`PRUSTDB_A_B` for `a.b`: capitals, and `_` for `.` and `-`), then flags; the later wins.
        Anything that is not a setting, or has a value out of its bounds, is an error with its file
        and line, and the daemon does not start. `prustadm config check FILE` says the same without
        a daemon and lists every problem.

        The file is nested mappings with one value a line, or names with points:

        ```yaml
        data-dir: /var/lib/prustdb
        listen: 0.0.0.0:8000
        advertise: db1.example.net:8000
        limits:
            connections: 10000
            idle-timeout: 5m
        ```

        Quote a value that begins with `[` (an IPv6 address: `listen: "[::]:8000"`). Anchors,
        aliases, tags, values of several lines and mappings in braces are refused. Sizes have a
        unit (`B`, `KiB`, `MiB`, `GiB`, `TiB`), and so have durations (`ms`, `s`, `m`, `h`, `d`).
        `prustadm reload` (or SIGHUP) takes up the settings that say `yes` under Reload, and reads
        certificates and keys again; it names the others that changed and wait for a restart.
        """
}
