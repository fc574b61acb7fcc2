import Foundation
import Glibc
import PrustCore
import PrustSystemd
import Testing

@Suite struct NotifierTests {
    static let table: [(notices: [Notifier.Notice], text: String)] = [
        ([.ready], "READY=1"),
        ([.stopping, .status("bye")], "STOPPING=1\nSTATUS=bye"),
        ([.watchdog], "WATCHDOG=1"),
        ([.status("a\nREADY=1\u{1B}[0m")], "STATUS=a READY=1 [0m"),
        ([.extendTimeout(.seconds(90))], "EXTEND_TIMEOUT_USEC=90000000"),
        ([.extendTimeout(.microseconds(1))], "EXTEND_TIMEOUT_USEC=1"),
        ([.extendTimeout(.seconds(-1))], "EXTEND_TIMEOUT_USEC=0"),
        ([.extendTimeout(.seconds(Int64.max))], "EXTEND_TIMEOUT_USEC=\(Int64.max)"),
        (
            [.reloading(at: .init(nanoseconds: 1_234_567_890))],
            "RELOADING=1\nMONOTONIC_USEC=1234567"
        ),
        ([.reloading(at: .init(nanoseconds: -1))], "RELOADING=1\nMONOTONIC_USEC=0"),
    ]

    @Test(arguments: table)
    func encoding(notices: [Notifier.Notice], text: String) {
        #expect(Notifier.encode(notices) == text)
    }

    @Test func statusIsBounded() {
        let longest = String(repeating: "x", count: Notifier.statusByteCountMax)
        #expect(Notifier.encode([.status(longest)]) == "STATUS=" + longest)
        let cut = Notifier.encode([.status(longest + "y")])
        #expect(cut.utf8.count == "STATUS=".utf8.count + Notifier.statusByteCountMax)
        #expect(cut.hasSuffix("xxx..."))
    }

    @Test func withoutAServiceManagerNothingHappens() async {
        await #expect(processExitsWith: .exitCode(7)) {
            unsetenv("NOTIFY_SOCKET")
            exit(!Notifier().isEnabled && !Notifier().notify(.ready) ? 7 : 1)
        }
    }

    /// The message arrives at a socket that stands for the service manager.
    @Test func theManagerGetsTheMessage() async {
        await #expect(processExitsWith: .exitCode(7)) {
            let directory = FileManager.default.temporaryDirectory
                .appending(path: "prust-notify-\(getpid())")
            let path = directory.path()
            defer { unlink(path) }
            let manager = try #require(boundDatagramSocket(at: path))
            setenv("NOTIFY_SOCKET", path, 1)
            guard Notifier().isEnabled, Notifier().notify(.ready, .status("serving")) else {
                exit(1)
            }
            var bytes = [UInt8](repeating: 0, count: 256)
            let count = recv(manager, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { exit(2) }
            unlink(path)
            exit(
                String(decoding: bytes[..<count], as: UTF8.self) == "READY=1\nSTATUS=serving"
                    ? 7 : 3
            )
        }
    }

    @Test func watchdogIntervalIsThatOfTheUnit() async {
        await #expect(processExitsWith: .exitCode(7)) {
            setenv("WATCHDOG_USEC", "30000000", 1)
            setenv("WATCHDOG_PID", "\(getpid())", 1)
            guard Watchdog.requestedInterval() == .seconds(30) else { exit(1) }
            setenv("WATCHDOG_PID", "1", 1)
            guard Watchdog.requestedInterval() == nil else { exit(2) }
            unsetenv("WATCHDOG_USEC")
            exit(Watchdog.requestedInterval() == nil ? 7 : 3)
        }
    }
}

/// A datagram socket in the file system, as the service manager has one.
func boundDatagramSocket(at path: String) -> CInt? {
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    return bindUnix(descriptor, path: path) ? descriptor : nil
}

/// Binds a Unix socket to a path.
func bindUnix(_ descriptor: CInt, path: String) -> Bool {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < capacity else { return false }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
        }
    }
}
