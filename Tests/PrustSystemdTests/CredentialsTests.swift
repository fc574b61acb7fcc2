import Foundation
import PrustSystemd
import Testing

@Suite struct CredentialsTests {
    @Test func pathOfACredentialThatIsThere() throws {
        let directory = FileManager.default.temporaryDirectory
            .appending(path: "prust-credentials-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try Data("x".utf8).write(to: directory.appending(path: "node.key"))
        let path = directory.path()
        let plain = path.hasSuffix("/") ? String(path.dropLast()) : path
        for given in [plain, plain + "/"] {
            let credentials = Credentials(directory: given)
            #expect(try credentials.path(for: "node.key") == plain + "/node.key")
            #expect(try credentials.path(for: "node.crt") == nil)
        }
        #expect(try Credentials(directory: nil).path(for: "node.key") == nil)
    }

    static let badNames = [
        "", ".", "..", "a/b", "/etc/passwd", "../x", "a b", "a\nb", "a\0b", "ü",
        String(repeating: "a", count: 256),
    ]

    @Test(arguments: badNames)
    func badNamesAreRefused(name: String) {
        #expect(throws: CredentialError.badName(name)) {
            try Credentials(directory: "/").path(for: name)
        }
    }

    @Test func longestNameIsAllowed() throws {
        let name = String(repeating: "a", count: Credentials.nameByteCountMax)
        #expect(try Credentials(directory: "/nowhere").path(for: name) == nil)
    }

    @Test func relativeDirectoryIsRefused() {
        let error = #expect(throws: CredentialError.self) {
            try Credentials(directory: "run").path(for: "a")
        }
        #expect(error?.description == "CREDENTIALS_DIRECTORY is \"run\"; expected an absolute path")
    }
}
