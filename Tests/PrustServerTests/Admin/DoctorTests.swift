import Foundation
import PrustCore
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

    @Test func filesAndClock() {
        let needed = 100 + Doctor.descriptorReserve
        #expect(Doctor.files(limit: needed, connections: 100).status == .ok)
        #expect(Doctor.files(limit: needed - 1, connections: 100).status == .warn)
        let good = ClockState(isSynchronized: true, errorMaxMicroseconds: 5_000)
        let bad = ClockState(isSynchronized: false, errorMaxMicroseconds: 0)
        #expect(Doctor.clock(good).message == "synchronized, error at most 5 ms")
        #expect(Doctor.clock(good).status == .ok)
        #expect(Doctor.clock(bad).status == .warn)
        #expect(Doctor.clock(nil).status == .warn)
        #expect(ClockState.read() != nil)
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
}
