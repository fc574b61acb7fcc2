import Foundation
import PrustCore
import PrustTLS
import Testing

@testable import PrustServer

@Suite struct DoctorTests {
    static let day: Int64 = 86_400

    @Test(arguments: [
        (400 * day, DoctorFinding.Status.ok), (30 * day, .ok), (30 * day - 1, .warn), (0, .warn),
        (-1, .fail), (-40 * day, .fail),
    ])
    func certificateAge(seconds: Int64, status: DoctorFinding.Status) {
        let now = WallTime(milliseconds: 1_800_000_000_000)
        let notAfter = now.milliseconds / 1_000 + seconds
        let finding = Doctor.age(name: "c", path: "/p", notAfter: notAfter, now: now)
        #expect(finding.status == status)
        #expect((finding.advice == nil) == (status == .ok))
    }

    @Test(arguments: [
        (0, DoctorFinding.Status.ok), (9_999, .ok), (10_000, .warn), (99_999, .warn),
        (100_000, .fail),
    ])
    func latency(microseconds: Int, status: DoctorFinding.Status) {
        let median = Duration.microseconds(microseconds)
        #expect(Doctor.latency(median: median, slowest: median).status == status)
    }

    @Test(arguments: [
        (100 << 30, 200 << 30, DoctorFinding.Status.ok), (5 << 30, 20 << 30, .ok),
        ((5 << 30) - 1, 20 << 30, .warn), (20 << 30, 201 << 30, .warn), (1 << 30, 2 << 30, .warn),
        ((1 << 30) - 1, 2 << 30, .fail), (0, 0, .fail),
    ])
    func space(free: Int, total: Int, status: DoctorFinding.Status) {
        #expect(Doctor.space(free: free, total: total).status == status)
    }

    @Test func filesAndHiddenClock() {
        let needed = 100 + Doctor.descriptorReserve
        #expect(Doctor.files(limit: needed, connections: 100).status == .ok)
        #expect(Doctor.files(limit: needed - 1, connections: 100).status == .warn)
        #expect(Doctor.clock(.hidden).advice?.contains("timedatectl") == true)
    }

    static let clocks: [(state: ClockState, status: DoctorFinding.Status, message: String)] = [
        (
            .kernel(isSynchronized: true, errorMaxMicroseconds: 5_000), .ok,
            "synchronized, error at most 5 ms"
        ),
        (
            .kernel(isSynchronized: false, errorMaxMicroseconds: 0), .warn,
            "the clock is not synchronized"
        ),
        (.timesyncd, .ok, "synchronized, by systemd-timesyncd"),
        (
            .hidden, .warn,
            "not looked at: the sandbox of this process hides the kernel's clock, and "
                + "systemd-timesyncd says nothing"
        ),
    ]

    @Test(arguments: clocks)
    func clock(state: ClockState, status: DoctorFinding.Status, message: String) {
        #expect(Doctor.clock(state).status == status)
        #expect(Doctor.clock(state).message == message)
    }

    @Test func aClockBehindTheSandboxIsToldByItsService() async throws {
        try await AccessStoreTests.withDirectory { root in
            let mark = root + "/synchronized"
            #expect(ClockState.withoutKernel(mark: mark) == .hidden)
            try Data().write(to: URL(filePath: mark))
            #expect(ClockState.withoutKernel(mark: mark) == .timesyncd)
        }
    }

    @Test func aFoundedDirectoryIsHealthyAndAnOpenKeyIsNot() async throws {
        try await AccessStoreTests.withDirectory { root in
            let plan = FoundingTests.plan(root)
            _ = try Founding.found(plan, now: AdminFixture.now)
            let flags = SettingFlags(dataDirectory: plan.dataDirectory)
            let settings = try Settings.load(file: nil, environment: [:], flags: flags)
            let doctor = Doctor(settings: settings)
            func status(_ check: String) -> DoctorFinding.Status? {
                doctor.examine(now: AdminFixture.now, checksOwnLimits: true)
                    .first { $0.check == check }?.status
            }
            for check in ["node-certificate", "ca-certificate", "permissions"] {
                #expect(status(check) == .ok)
            }
            #expect(status("disk-latency") != nil)
            #expect(status("file-limit") != nil)
            let names = try FileManager.default.contentsOfDirectory(atPath: plan.dataDirectory)
            #expect(names.sorted() == ["LOCK", "ca", "identity"])
            let key = DataDirectory(plan.dataDirectory).nodeKey
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: key)
            #expect(status("permissions") == .fail)
            try FileManager.default.removeItem(atPath: settings.tls.certificate)
            #expect(status("node-certificate") == .fail)
        }
    }

    /// The second one begins while the first one's file is there, as two requests to a node do.
    @Test func examinationsDoNotMeet() async throws {
        try await AccessStoreTests.withDirectory { root in
            let plan = FoundingTests.plan(root)
            _ = try Founding.found(plan, now: AdminFixture.now)
            let doctor = try Self.doctor(plan.dataDirectory)
            let left = plan.dataDirectory + "/.doctor-\(getpid())"
            try Data().write(to: URL(filePath: left))
            let messages = await withTaskGroup(of: String.self, returning: [String].self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        let findings = doctor.examine(
                            now: AdminFixture.now,
                            checksOwnLimits: false
                        )
                        return findings.first { $0.check == "disk-latency" }?.message ?? ""
                    }
                }
                var messages: [String] = []
                for await message in group { messages.append(message) }
                return messages
            }
            #expect(messages.count == 8)
            for message in messages { #expect(message.hasPrefix("fdatasync of 4 KiB takes ")) }
        }
    }

    @Test func withoutANode() async throws {
        try await AccessStoreTests.withDirectory { root in
            let plan = FoundingTests.plan(root)
            let doctor = try Self.doctor(plan.dataDirectory)
            func finding(_ check: String) -> DoctorFinding? {
                doctor.examineOffline(now: AdminFixture.now, checksPorts: false)
                    .first { $0.check == check }
            }
            #expect(finding("identity")?.status == .fail)
            #expect(finding("identity")?.message.contains("prustadm bootstrap") == true)
            #expect(finding("owner")?.status == .fail)
            _ = try Founding.found(plan, now: AdminFixture.now)
            #expect(finding("identity")?.status == .ok)
            #expect(finding("owner")?.status != .fail)
            #expect(finding("lock")?.status == .ok)
            #expect(finding("listen") == nil)

            let lock = try DirectoryLock.take(plan.dataDirectory)
            #expect(doctor.lockState() == .held(processID: getpid()))
            #expect(finding("lock")?.status == .warn)
            #expect(finding("lock")?.message.contains("process \(getpid())") == true)
            withExtendedLifetime(lock) {}

            let directory = DataDirectory(plan.dataDirectory)
            let other = try PrivateKey.generate()
            try other.write(path: directory.nodeKey)
            #expect(finding("identity")?.message.contains("does not belong") == true)
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o000],
                ofItemAtPath: directory.access
            )
            #expect(finding("owner")?.message.contains("keeps its owner out") == true)
        }
    }

    static let entries: [(mode: UInt32, user: UInt32, fault: String?)] = [
        (0o100_600, 7, nil), (0o100_400, 7, nil), (0o040_700, 7, nil), (0o140_660, 7, nil),
        (0o120_777, 0, nil), (0o100_644, 4_000_000_001, "belongs to 4000000001"),
        (0o100_044, 7, "has mode 044, which keeps its owner out"),
        (0o040_600, 7, "has mode 0600, which keeps its owner out"),
    ]

    @Test(arguments: entries)
    func ownersOfEntries(mode: UInt32, user: UInt32, fault: String?) {
        #expect(Doctor.fault(mode: mode, user: user, owner: 7) == fault)
    }

    @Test func credentialsAreSeenOnlyInTheService() async throws {
        try await AccessStoreTests.withDirectory { root in
            let plan = FoundingTests.plan(root)
            _ = try Founding.found(plan, now: AdminFixture.now)
            let settings = try Settings.load(
                file: nil,
                environment: ["CREDENTIALS_DIRECTORY": Doctor.credentialsDirectory],
                flags: SettingFlags(
                    dataDirectory: plan.dataDirectory,
                    assignments: ["tls.key=credential:k", "tls.certificate=credential:c"]
                )
            )
            let findings = Doctor(settings: settings)
                .examineOffline(now: AdminFixture.now, checksPorts: false)
            #expect(findings.first { $0.check == "node-certificate" }?.status == .warn)
            #expect(findings.first { $0.check == "identity" }?.status == .ok)
            let error = #expect(throws: FoundingError.self) {
                try Founding.renew(settings, now: AdminFixture.now)
            }
            #expect(error?.message.contains("LoadCredential=") == true)
        }
    }

    static let ports:
        [(
            state: Doctor.PortState, lock: Doctor.LockState, status: DoctorFinding.Status,
            text: String
        )] = [
            (.free, .free, .ok, "is free"),
            (.free, .held(processID: 7), .ok, "is free"),
            (.inUse, .held(processID: 7), .ok, "as process 7 is at work"),
            (.inUse, .held(processID: nil), .ok, "as another process is at work"),
            (.inUse, .free, .fail, "in use by another program"),
            (.inUse, .unknown(reason: "denied"), .fail, "in use by another program"),
            (.unusable(reason: "not here"), .free, .fail, "not here"),
        ]

    @Test(arguments: ports)
    func port(
        state: Doctor.PortState,
        lock: Doctor.LockState,
        status: DoctorFinding.Status,
        text: String
    ) {
        let endpoint = Endpoint(host: "127.0.0.1", port: 8_000)
        let finding = Doctor.port("listen", endpoint, state, lock, unit: "no-such.socket")
        #expect(finding.status == status)
        #expect(finding.message.contains(text), "\(finding.message)")
    }

    @Test func portsOfThisMachine() {
        #expect(Doctor.portState(Endpoint(host: "127.0.0.1", port: 0)) == .free)
        let abroad = Endpoint(host: "192.0.2.1", port: 8_000)
        guard case .unusable = Doctor.portState(abroad) else {
            Issue.record("192.0.2.1 is for documentation, not of this machine")
            return
        }
    }

    static func doctor(_ dataDirectory: String) throws -> Doctor {
        let flags = SettingFlags(dataDirectory: dataDirectory)
        return Doctor(settings: try Settings.load(file: nil, environment: [:], flags: flags))
    }
}
