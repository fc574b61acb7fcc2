import Foundation
import PrustCore
import Testing

@testable import PrustServer

@Suite struct ClientIssuerTests {
    /// Whoever can read the CA's key can make himself an administrator.
    @Test(arguments: [0o640, 0o604, 0o644])
    func aKeyThatOthersCanReadIsRefused(mode: Int) async throws {
        try await AccessStoreTests.withDirectory { directory in
            let fixture = try AdminFixture(directory)
            let issuer = ClientIssuer(dataDirectory: fixture.directory)
            let now = AdminFixture.now
            _ = try issuer.issue(name: "bob", request: nil, days: 1, now: now)
            let key = DataDirectory(fixture.directory).authorityKey
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: key)
            let error = #expect(throws: AccessError.self) {
                try issuer.issue(name: "bob", request: nil, days: 1, now: now)
            }
            #expect(error?.code == .storage)
            #expect(error?.message.contains("chmod 600 \(key)") == true)
        }
    }
}
