/// One setting: its name, what may stand there, its default, and what it is for.
package struct SettingKey: Sendable {
    package enum Kind: Sendable {
        case integer(ClosedRange<Int>)
        /// Bytes.
        case size(ClosedRange<Int>)
        case duration(ClosedRange<Duration>)
        /// `HOST:PORT`; the least port is 0 where the system may choose one.
        case endpoint(portMin: Int)
        case path
        case choice([String])
    }

    /// Sections and key, joined by points.
    package var name: String
    package var kind: Kind
    /// `nil` where there is none, or where it depends on other settings (``derivedDefault``).
    package var defaultValue: SettingValue?
    /// What stands in the documentation when the default depends on other settings.
    package var derivedDefault: String?
    /// One or two sentences.
    package var summary: String
    /// Whether a reload takes a changed value; otherwise a restart does.
    package var isReloadable = false
    package var write: @Sendable (inout Settings, SettingValue) -> Void
    package var read: @Sendable (Settings) -> SettingValue?

    /// The variable of the environment that sets it.
    package var variable: String {
        let bytes = self.name.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "."), UInt8(ascii: "-"): UInt8(ascii: "_")
            default: byte & 0xDF
            }
        }
        return "PRUSTDB_" + String(decoding: bytes, as: UTF8.self)
    }

    /// What the documentation calls the default.
    package var defaultText: String? {
        self.defaultValue?.description ?? self.derivedDefault
    }

    /// What may stand there, for errors and the documentation.
    package var expectation: String {
        switch self.kind {
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .size(let range):
            "a size such as 64MiB, from \(SettingUnit.size(range.lowerBound)) to "
                + SettingUnit.size(range.upperBound)
        case .duration(let range):
            "a duration such as 30s or 250ms, from \(SettingUnit.duration(range.lowerBound)) to "
                + SettingUnit.duration(range.upperBound)
        case .endpoint(let portMin):
            "an address HOST:PORT or \"[IPV6]:PORT\" with a port from \(portMin) to 65535"
        case .path: "a path"
        case .choice(let names): names.joined(separator: " or ")
        }
    }

    /// Reads the text of a value; `nil` when it is not what ``expectation`` says.
    package func parse(_ text: String) -> SettingValue? {
        switch self.kind {
        case .integer(let range):
            return SettingUnit.number(text.utf8)
                .flatMap { range.contains($0) ? .integer($0) : nil }
        case .size(let range):
            return SettingUnit.size(text).flatMap { range.contains($0) ? .size($0) : nil }
        case .duration(let range):
            return SettingUnit.duration(text).flatMap { range.contains($0) ? .duration($0) : nil }
        case .endpoint(let portMin):
            return Endpoint(text).flatMap { $0.port >= portMin ? .endpoint($0) : nil }
        case .path:
            let isPath = (1...Self.pathByteCountMax).contains(text.utf8.count)
            return isPath && !text.utf8.contains(where: { $0 < 0x20 }) ? .text(text) : nil
        case .choice(let names):
            return names.contains(text) ? .text(text) : nil
        }
    }

    /// The system's own bound (PATH_MAX, without the closing zero).
    package static let pathByteCountMax = 4_095
}

extension SettingKey {
    static func integer(
        _ name: String,
        _ path: any WritableKeyPath<Settings, Int> & Sendable,
        _ range: ClosedRange<Int>,
        default value: Int,
        _ summary: String
    ) -> Self {
        Self(
            name: name,
            kind: .integer(range),
            defaultValue: .integer(value),
            summary: summary,
            write: { if case .integer(let value) = $1 { $0[keyPath: path] = value } },
            read: { .integer($0[keyPath: path]) }
        )
    }

    static func size(
        _ name: String,
        _ path: any WritableKeyPath<Settings, Int> & Sendable,
        _ range: ClosedRange<Int>,
        default value: Int,
        _ summary: String
    ) -> Self {
        Self(
            name: name,
            kind: .size(range),
            defaultValue: .size(value),
            summary: summary,
            write: { if case .size(let value) = $1 { $0[keyPath: path] = value } },
            read: { .size($0[keyPath: path]) }
        )
    }

    static func duration(
        _ name: String,
        _ path: any WritableKeyPath<Settings, Duration> & Sendable,
        _ range: ClosedRange<Duration>,
        default value: Duration,
        _ summary: String
    ) -> Self {
        Self(
            name: name,
            kind: .duration(range),
            defaultValue: .duration(value),
            summary: summary,
            write: { if case .duration(let value) = $1 { $0[keyPath: path] = value } },
            read: { .duration($0[keyPath: path]) }
        )
    }

    static func endpoint(
        _ name: String,
        _ path: any WritableKeyPath<Settings, Endpoint> & Sendable,
        default value: Endpoint,
        _ summary: String
    ) -> Self {
        Self(
            name: name,
            kind: .endpoint(portMin: 0),
            defaultValue: .endpoint(value),
            summary: summary,
            write: { if case .endpoint(let value) = $1 { $0[keyPath: path] = value } },
            read: { .endpoint($0[keyPath: path]) }
        )
    }

    static func path(
        _ name: String,
        _ path: any WritableKeyPath<Settings, String> & Sendable,
        derivedDefault: String?,
        _ summary: String
    ) -> Self {
        Self(
            name: name,
            kind: .path,
            derivedDefault: derivedDefault,
            summary: summary,
            write: { if case .text(let value) = $1 { $0[keyPath: path] = value } },
            read: { $0[keyPath: path].isEmpty ? nil : .text($0[keyPath: path]) }
        )
    }

    static func choice<Choice>(
        _ name: String,
        _ path: any WritableKeyPath<Settings, Choice> & Sendable,
        default value: Choice,
        _ summary: String
    ) -> Self
    where Choice: CaseIterable & RawRepresentable & Sendable, Choice.RawValue == String {
        Self(
            name: name,
            kind: .choice(Choice.allCases.map(\.rawValue)),
            defaultValue: .text(value.rawValue),
            summary: summary,
            write: {
                guard case .text(let text) = $1, let choice = Choice(rawValue: text) else { return }
                $0[keyPath: path] = choice
            },
            read: { .text($0[keyPath: path].rawValue) }
        )
    }

    /// The same setting, taken up by a reload.
    func reloadable() -> Self {
        var copy = self
        copy.isReloadable = true
        return copy
    }
}
