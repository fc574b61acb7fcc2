import Foundation
import PrustCore
import PrustTLS
import Testing

@testable import PrustServer

@Suite struct FoundingTests {
    static let now = AdminFixture.now

    static func plan(_ root: String) -> FoundingPlan {
        FoundingPlan(
            dataDirectory: root + "/deep/node",
            clientDirectory: root + "/client",
            listen: Endpoint(host: "0.0.0.0", port: 8_000),
            advertise: Endpoint(host: "db1.example", port: 8_000),
            partitionBits: 4,
            replicationFactor: 3,
            hostName: "thishost"
        )
    }

    @Test func foundsEverythingThatIsNeeded() async throws {
        try await AccessStoreTests.withDirectory { root in
            let plan = Self.plan(root)
            #expect(!Founding.isFounded(plan.dataDirectory))
            let report = try Founding.found(plan, now: Self.now)
            #expect(report.isNew)
            #expect(Founding.isFounded(plan.dataDirectory))
            let cluster = try ClusterIdentity.load(dataDirectory: plan.dataDirectory)
            #expect(cluster.partitionBits == 4)
            #expect(cluster.node == report.nodeID)

            let directory = DataDirectory(plan.dataDirectory)
            let material = try TLSMaterial.load(
                certificateFile: directory.nodeCertificate,
                keyFile: directory.nodeKey,
                caFile: directory.trust,
                role: .node,
                now: Self.now
            )
            #expect(material.identity == cluster.nodeID.map { PeerIdentity.node($0) })
            let names = try #require(material.certificate).dnsNames
            #expect(names == ["localhost", "thishost", "db1.example"])
            let files = ClientFiles(directory: root + "/client")
            let client = try TLSMaterial.load(
                certificateFile: files.certificate,
                keyFile: files.key,
                caFile: files.authority,
                role: .client,
                now: Self.now
            )
            #expect(client.identity == .client("admin"))
            let table = AccessTable(try AccessFile(path: directory.access).load())
            let serial = try #require(client.certificate).serial
            #expect(table.principal(certificateName: "admin", serial: serial)?.isAdmin == true)
            let profile = try ClientProfile(bytes: try TextFile.read(files.profile), name: "p")
            #expect(profile.key == files.key)
            for path in [directory.nodeKey, directory.authorityKey, directory.access, files.key] {
                let attributes = try FileManager.default.attributesOfItem(atPath: path)
                #expect(attributes[.posixPermissions] as? Int == 0o600, "\(path)")
            }
        }
    }

    @Test func aSecondFoundingChangesNothing() async throws {
        try await AccessStoreTests.withDirectory { root in
            let first = try Founding.found(Self.plan(root), now: Self.now)
            let before = try Self.contents(root)
            let second = try Founding.found(Self.plan(root), now: Self.now)
            #expect(!second.isNew)
            #expect(second.clusterID == first.clusterID)
            #expect(second.nodeID == first.nodeID)
            #expect(try Self.contents(root) == before)
            // Also while a node works there.
            let lock = try DirectoryLock.take(Self.plan(root).dataDirectory)
            #expect(try !Founding.found(Self.plan(root), now: Self.now).isNew)
            withExtendedLifetime(lock) {}
        }
    }

    /// Removes what each later step of a founding makes, as an interruption would leave it.
    @Test func anInterruptedFoundingIsFinished() async throws {
        let steps: [[String]] = [
            ["identity/cluster.json"],
            ["identity/cluster.json", "identity/access.json"],
            ["identity/cluster.json", "identity/access.json", "identity/node.crt"],
            [
                "identity/cluster.json", "identity/access.json", "identity/node.crt",
                "identity/node.key",
            ],
        ]
        for missing in steps {
            try await AccessStoreTests.withDirectory { root in
                let plan = Self.plan(root)
                _ = try Founding.found(plan, now: Self.now)
                for name in missing {
                    try FileManager.default.removeItem(atPath: plan.dataDirectory + "/" + name)
                }
                let report = try Founding.found(plan, now: Self.now)
                #expect(report.isNew)
                let directory = DataDirectory(plan.dataDirectory)
                let material = try TLSMaterial.load(
                    certificateFile: directory.nodeCertificate,
                    keyFile: directory.nodeKey,
                    caFile: directory.trust,
                    role: .node,
                    now: Self.now
                )
                let nodeID = try ClusterIdentity.load(dataDirectory: directory.path).nodeID
                #expect(material.identity == nodeID.map { PeerIdentity.node($0) })
                let client = try Certificate(
                    pem: try TextFile.read(ClientFiles(directory: root + "/client").certificate)
                )
                let table = AccessTable(try AccessFile(path: directory.access).load())
                let principal = table.principal(certificateName: "admin", serial: client.serial)
                #expect(principal?.isAdmin == true)
            }
        }
    }

    @Test func filesThatDoNotFitAreRefused() async throws {
        let faults: [(String, (String) throws -> Void)] = [
            ("ca.key is missing", { try Self.remove($0, ["identity/cluster.json", "ca/ca.key"]) }),
            (
                "is not of the CA",
                {
                    try Self.remove($0, ["identity/cluster.json", "ca/ca.key", "ca/ca.crt"])
                }
            ),
            (
                "holds data",
                {
                    try Self.remove($0, ["identity/cluster.json"])
                    let segments = $0 + "/segments"
                    try FileManager.default.createDirectory(
                        atPath: segments,
                        withIntermediateDirectories: true
                    )
                    try Data("x".utf8).write(to: URL(filePath: segments + "/1.seg"))
                }
            ),
            (
                "cluster.json",
                { try Data("{}".utf8).write(to: URL(filePath: $0 + "/identity/cluster.json")) }
            ),
        ]
        for (text, fault) in faults {
            try await AccessStoreTests.withDirectory { root in
                let plan = Self.plan(root)
                _ = try Founding.found(plan, now: Self.now)
                try fault(plan.dataDirectory)
                let error = #expect(throws: FoundingError.self) {
                    try Founding.found(plan, now: Self.now)
                }
                #expect(error?.message.contains(text) == true, "\(String(describing: error))")
            }
        }
    }

    @Test func credentialsOfAnotherClusterAreNotWrittenOver() async throws {
        try await AccessStoreTests.withDirectory { root in
            _ = try Founding.found(Self.plan(root), now: Self.now)
            var other = Self.plan(root)
            other.dataDirectory = root + "/second"
            let before = try TextFile.read(root + "/client/client.key")
            let error = #expect(throws: FoundingError.self) {
                try Founding.found(other, now: Self.now)
            }
            #expect(error?.message.contains("credentials of another cluster") == true)
            #expect(try TextFile.read(root + "/client/client.key") == before)
            other.clientDirectory = root + "/second-client"
            #expect(try Founding.found(other, now: Self.now).isNew)
        }
    }

    @Test func aDirectoryInUseIsRefused() async throws {
        try await AccessStoreTests.withDirectory { root in
            let plan = Self.plan(root)
            try DataDirectory.make(plan.dataDirectory)
            let lock = try DirectoryLock.take(plan.dataDirectory)
            let error = #expect(throws: FoundingError.self) {
                try Founding.found(plan, now: Self.now)
            }
            #expect(error?.code == .inUse)
            #expect(error?.message.contains("in use by process \(getpid())") == true)
            withExtendedLifetime(lock) {}
        }
        try await AccessStoreTests.withDirectory { root in
            _ = try DirectoryLock.take(root)
            // Given back when the first one went.
            _ = try DirectoryLock.take(root)
        }
    }

    @Test func linksAreNotFollowed() async throws {
        try await AccessStoreTests.withDirectory { root in
            let plan = Self.plan(root)
            try DataDirectory.make(plan.dataDirectory)
            let elsewhere = root + "/elsewhere"
            try DataDirectory.make(elsewhere)
            try FileManager.default.createSymbolicLink(
                atPath: plan.dataDirectory + "/identity",
                withDestinationPath: elsewhere
            )
            let error = #expect(throws: FoundingError.self) {
                try Founding.found(plan, now: Self.now)
            }
            #expect(error?.message.contains("found a link") == true)
            #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere) == [])
        }
    }

    @Test func badPlansAreRefused() async throws {
        try await AccessStoreTests.withDirectory { root in
            var wildcard = Self.plan(root)
            wildcard.advertise = Endpoint(host: "::", port: 1)
            var name = Self.plan(root)
            name.clientName = "a b"
            for plan in [wildcard, name] {
                let error = #expect(throws: FoundingError.self) {
                    try Founding.found(plan, now: Self.now)
                }
                #expect(error?.code == .invalid)
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: root)
            #expect(names == [])
        }
    }

    @Test func namesInTheCertificate() {
        var plan = Self.plan("/r")
        plan.advertise = Endpoint(host: "2001:db8::1", port: 1)
        plan.listen = Endpoint(host: "10.0.0.7", port: 1)
        plan.hostName = ""
        #expect(plan.dnsNames == ["localhost"])
        #expect(plan.ipAddresses == ["127.0.0.1", "::1", "2001:db8::1", "10.0.0.7"])
    }

    // MARK: Without being asked

    @Test func nothingIsFoundedBesideForeignFiles() async throws {
        let allowed = [[], ["lost+found"], ["LOCK", "identity", "ca", "client"]]
        for names in allowed + [["notes.txt"], ["segments"], [".hidden"], ["lost+found", "index"]] {
            try await AccessStoreTests.withDirectory { root in
                var plan = Self.plan(root)
                plan.clientDirectory = plan.dataDirectory + "/client"
                for name in names { try DataDirectory.make(plan.dataDirectory + "/" + name) }
                // The lock is a file.
                try? Self.remove(plan.dataDirectory, ["LOCK"])
                if allowed.contains(names) {
                    let report = try Founding.foundImplicitly(
                        plan,
                        environment: [:],
                        now: Self.now
                    )
                    #expect(report.isNew)
                    return
                }
                let error = #expect(throws: FoundingError.self) {
                    try Founding.foundImplicitly(plan, environment: [:], now: Self.now)
                }
                #expect(error?.code == .conflict)
                #expect(error?.message.contains("\"\(names.last ?? "")\"") == true)
                #expect(error?.message.contains("prustadm bootstrap") == true)
                #expect(!DataDirectory.exists(plan.dataDirectory + "/identity"))
                // Whoever asks for it gets it; what is there is left alone.
                #expect(try Founding.found(plan, now: Self.now).isNew)
            }
        }
    }

    @Test func aServiceFoundsNothingByItself() async throws {
        let environments: [(variables: [String: String], isService: Bool)] = [
            (["NOTIFY_SOCKET": "/run/systemd/notify"], true),
            (["INVOCATION_ID": "0f"], true),
            (["INVOCATION_ID": "0f", "SYSTEMD_EXEC_PID": "\(getpid())"], true),
            // A terminal that a desktop's service manager started, and what runs in it.
            (["INVOCATION_ID": "0f", "SYSTEMD_EXEC_PID": "1"], false),
            (["INVOCATION_ID": "", "NOTIFY_SOCKET": "", "HOME": "/root"], false),
        ]
        for (variables, isService) in environments {
            try await AccessStoreTests.withDirectory { root in
                let plan = Self.plan(root)
                guard isService else {
                    _ = try Founding.foundImplicitly(plan, environment: variables, now: Self.now)
                    return
                }
                let error = #expect(throws: FoundingError.self) {
                    try Founding.foundImplicitly(plan, environment: variables, now: Self.now)
                }
                #expect(error?.message.contains("prustadm bootstrap") == true)
                #expect(!DataDirectory.exists(plan.dataDirectory))
            }
        }
    }

    // MARK: Owner

    /// What root founds belongs to the owner of the data directory, at the end and after an
    /// interruption that left the last files to root.
    @Test(.enabled(if: getuid() == 0, "needs root"))
    func filesBelongToTheOwnerOfTheDirectory() async throws {
        try await AccessStoreTests.withDirectory { root in
            let plan = Self.plan(root)
            try DataDirectory.make(plan.dataDirectory)
            #expect(chown(plan.dataDirectory, 65_534, 65_534) == 0)
            _ = try Founding.found(plan, now: Self.now)
            let names = try FileManager.default.subpathsOfDirectory(atPath: plan.dataDirectory)
            #expect(names.contains("identity/cluster.json") && names.contains("LOCK"))
            for name in names {
                #expect(DataDirectory.owner(plan.dataDirectory + "/" + name)?.user == 65_534)
            }
            let last = ["LOCK", "identity/cluster.json"].map { plan.dataDirectory + "/" + $0 }
            for path in last { #expect(chown(path, 0, 0) == 0) }
            #expect(try !Founding.found(plan, now: Self.now).isNew)
            for path in last { #expect(DataDirectory.owner(path)?.user == 65_534) }

            let settings = try Self.settings(plan)
            _ = try Founding.renew(settings, now: Self.now)
            for path in [settings.tls.key, settings.tls.certificate] {
                #expect(DataDirectory.owner(path)?.user == 65_534)
            }
        }
    }

    // MARK: Renewal

    static func settings(_ plan: FoundingPlan) throws -> Settings {
        let flags = SettingFlags(dataDirectory: plan.dataDirectory)
        return try Settings.load(file: nil, environment: [:], flags: flags)
    }

    static func material(_ settings: Settings, now: WallTime) throws -> TLSMaterial {
        try TLSMaterial.load(
            certificateFile: settings.tls.certificate,
            keyFile: settings.tls.key,
            caFile: settings.tls.authority,
            role: .node,
            now: now
        )
    }

    @Test func renewalKeepsTheNodeAndItsNames() async throws {
        try await AccessStoreTests.withDirectory { root in
            let plan = Self.plan(root)
            _ = try Founding.found(plan, now: Self.now)
            let settings = try Self.settings(plan)
            let old = try #require(try Self.material(settings, now: Self.now).certificate)
            let key = try TextFile.read(settings.tls.key)
            // Long after the end of the old one, and while a node works there.
            let later = WallTime(milliseconds: Self.now.milliseconds + 800 * 86_400_000)
            #expect(throws: TLSError.self) { try Self.material(settings, now: later) }
            let lock = try DirectoryLock.take(plan.dataDirectory)
            let report = try Founding.renew(settings, now: later)
            withExtendedLifetime(lock) {}

            let new = try #require(try Self.material(settings, now: later).certificate)
            #expect(new.identity == old.identity)
            #expect(new.dnsNames == old.dnsNames)
            #expect(new.ipAddresses == old.ipAddresses)
            #expect(new.serial != old.serial)
            #expect(new.notAfter == later.milliseconds / 1_000 + 730 * 86_400)
            #expect(try TextFile.read(settings.tls.key) != key)
            #expect(report.fingerprint == new.fingerprint)
            let cluster = try ClusterIdentity.load(dataDirectory: plan.dataDirectory)
            #expect(report.nodeID == cluster.node)
            let modes = try [settings.tls.key, settings.tls.certificate].map { path in
                try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            }
            #expect(modes == [0o600, 0o644])
            let names = try FileManager.default.contentsOfDirectory(
                atPath: plan.dataDirectory + "/identity"
            )
            #expect(!names.contains { $0.hasSuffix(".new") || $0.hasSuffix(".tmp") })
        }
    }

    /// A renewal that ended between its two files, and drafts that one has left.
    @Test func anInterruptedRenewalIsRepaired() async throws {
        try await AccessStoreTests.withDirectory { root in
            let plan = Self.plan(root)
            _ = try Founding.found(plan, now: Self.now)
            let settings = try Self.settings(plan)
            try PrivateKey.generate().write(path: settings.tls.key)
            try Data("draft".utf8).write(to: URL(filePath: settings.tls.certificate + ".new"))
            let error = #expect(throws: TLSError.self) {
                try Self.material(settings, now: Self.now)
            }
            #expect(error?.code == .keyMismatch)
            _ = try Founding.renew(settings, now: Self.now)
            #expect(try Self.material(settings, now: Self.now).certificate != nil)
        }
    }

    @Test func renewalRefusesWhatItDidNotSign() async throws {
        let faults: [(String, (Settings) throws -> Void)] = [
            (
                "no CA key",
                { try Self.remove($0.dataDirectory, ["ca/ca.key"]) }
            ),
            (
                "not this node's certificate",
                { settings in
                    let directory = DataDirectory(settings.dataDirectory)
                    let (_, certificate) = try Founding.makeNodePair(
                        NodeID.random(),
                        dnsNames: [],
                        ipAddresses: [],
                        authority: directory.loadAuthority(),
                        now: Self.now
                    )
                    try certificate.write(path: settings.tls.certificate)
                }
            ),
            (
                "holds no node yet",
                { try Self.remove($0.dataDirectory, ["identity/cluster.json"]) }
            ),
        ]
        for (text, fault) in faults {
            try await AccessStoreTests.withDirectory { root in
                let plan = Self.plan(root)
                _ = try Founding.found(plan, now: Self.now)
                let settings = try Self.settings(plan)
                try fault(settings)
                let before = try Self.contents(root)
                let error = #expect(throws: FoundingError.self) {
                    try Founding.renew(settings, now: Self.now)
                }
                #expect(error?.message.contains(text) == true, "\(String(describing: error))")
                #expect(try Self.contents(root) == before)
            }
        }
    }

    static func remove(_ directory: String, _ names: [String]) throws {
        for name in names {
            try FileManager.default.removeItem(atPath: directory + "/" + name)
        }
    }

    static func contents(_ root: String) throws -> [String: Data] {
        var result: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: root) {
            if let data = FileManager.default.contents(atPath: root + "/" + name) {
                result[name] = data
            }
        }
        return result
    }
}
