import Foundation
import Testing

@testable import PrustServer

@Suite struct SettingsManualTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    @Test func thePageIsWrittenFromTheTable() throws {
        let page = Self.root.appending(path: "Docs/ops/settings.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        #expect(
            text == SettingsManual.markdown(),
            "write it again: prustadm config show --manual > Docs/ops/settings.md"
        )
    }
}
