import Foundation
import PrustCore
import Testing

/// Compares what the package says with what the sources say.
@Suite struct ManualTests {
    static let root = JournalCatalogTests.root

    static func text(_ path: String) throws -> String {
        try String(contentsOf: Self.root.appending(path: path), encoding: .utf8)
    }

    /// Names of settings, as the table of the server declares them.
    static func settingNames() throws -> [String] {
        let table = try Self.text("Sources/PrustServer/Settings/SettingTable.swift")
        let pattern = /(?:\.[a-z]+\(|name:)\s*"([a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)?)",/
        return table.matches(of: pattern).map { String($0.1) }
    }

    @Test func everySettingIsInTheManualAndNoOther() throws {
        let page = try Self.text("deploy/debian/man/prustdb.yaml.5").replacing("\\-", with: "-")
        let described = page.matches(of: /\n\.TP\n\\fB([a-z.-]+)\\fR/).map { String($0.1) }
        #expect(described.sorted() == (try Self.settingNames()).sorted())
    }

    @Test func thePackagesSettingsAreKnown() throws {
        let names = Set(try Self.settingNames())
        var section = ""
        for line in try Self.text("deploy/debian/prustdb.yaml").split(separator: "\n")
        where !line.drop(while: { $0 == " " }).hasPrefix("#") {
            let key = line.split(separator: ":")[0]
            if !line.hasPrefix(" "), line.hasSuffix(":") {
                section = key + "."
            } else if line.hasPrefix(" ") {
                #expect(names.contains(section + key.drop { $0 == " " }), "\(line)")
            } else {
                #expect(names.contains(String(key)), "\(line)")
            }
        }
    }

    @Test func theChangelogBeginsWithThisVersion() throws {
        let first = try Self.text("deploy/debian/changelog").split(separator: "\n")[0]
        #expect(first.hasPrefix("prustdb (\(BuildInfo.version)-"))
    }
}
