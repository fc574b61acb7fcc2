import Glibc
package import PrustCore
import PrustTLS

/// Looks at what usually breaks a node: what the machine and the files can tell, without asking
/// the daemon.
package struct Doctor: Sendable {
    package static let certificateWarningDays: Int64 = 30
    /// Of free space, in bytes and in hundredths.
    package static let freeBytesWarning = 5 << 30
    package static let freePercentWarning = 10
    package static let freeBytesFailure = 1 << 30
    package static let syncWarning = Duration.milliseconds(10)
    package static let syncFailure = Duration.milliseconds(100)
    /// Descriptors beside those of connections: segments, index, listeners, logs.
    package static let descriptorReserve = 1_024
    private static let syncCount = 16
    private static let syncByteCount = 4_096
    /// `O_TMPFILE`, which the Glibc module leaves out.
    private static let anonymousFile = 0o20000000 | O_DIRECTORY

    let settings: Settings
    let directory: DataDirectory

    /// - Parameter settings: Of the node; the files they name are looked at.
    package init(settings: Settings) {
        self.settings = settings
        self.directory = DataDirectory(settings.dataDirectory)
    }

    /// Runs all checks; takes a few milliseconds of disk time and blocks the thread.
    ///
    /// - Parameters:
    ///   - now: Wall time.
    ///   - checksOwnLimits: Whether this process is the daemon, whose limit of open files counts.
    /// - Returns: One finding a check, in a fixed order.
    package func examine(now: WallTime, checksOwnLimits: Bool) -> [DoctorFinding] {
        var findings = [
            self.certificate(self.settings.tls.certificate, name: "node-certificate", now: now),
            self.certificate(self.settings.tls.authority, name: "ca-certificate", now: now),
        ]
        findings += self.permissions()
        findings.append(Self.clock())
        findings.append(self.disk())
        findings.append(self.space())
        if checksOwnLimits {
            let connections = self.settings.limits.connections
            findings.append(Self.files(limit: Self.fileLimit(), connections: connections))
        }
        return findings
    }

    // MARK: Certificates

    private func certificate(_ path: String, name: String, now: WallTime) -> DoctorFinding {
        if Self.isHidden(path) {
            return DoctorFinding(
                check: name,
                status: .warn,
                message: "\(path) is a credential, which is there only while the service runs",
                advice: "start the node and ask again"
            )
        }
        do throws(TLSError) {
            let bytes = try PrivateFile.read(path: path, byteCountMax: Limits.pemByteCountMax)
            let all = try Certificate.parseAll(pem: bytes, name: path)
            guard let first = all.min(by: { $0.notAfter < $1.notAfter }) else {
                return DoctorFinding(
                    check: name,
                    status: .fail,
                    message: "\(path) holds no certificate"
                )
            }
            return Self.age(name: name, path: path, notAfter: first.notAfter, now: now)
        } catch {
            return DoctorFinding(
                check: name,
                status: .fail,
                message: error.message,
                advice: "restore the file, or correct tls.certificate, tls.key and tls.ca"
            )
        }
    }

    /// Judges how long a certificate is still good.
    static func age(name: String, path: String, notAfter: Int64, now: WallTime) -> DoctorFinding {
        let seconds = notAfter - now.milliseconds / 1_000
        let days = seconds / 86_400
        let advice =
            name == "node-certificate"
            ? "run prustadm node renew on the node that has the CA key, then prustadm reload"
            : "put a new one into \(path), then run prustadm reload"
        if seconds < 0 {
            let message = "ended \(-days) days ago"
            return DoctorFinding(check: name, status: .fail, message: message, advice: advice)
        }
        let status = days < Self.certificateWarningDays ? DoctorFinding.Status.warn : .ok
        return DoctorFinding(
            check: name,
            status: status,
            message: "good for \(days) days",
            advice: status == .ok ? nil : advice
        )
    }

    // MARK: Files

    private func permissions() -> [DoctorFinding] {
        let secrets = [self.settings.tls.key, self.directory.authorityKey, self.directory.access]
        var faults: [String] = []
        for path in secrets {
            var status = stat()
            guard stat(path, &status) == 0 else { continue }
            if status.st_mode & 0o077 != 0 {
                let mode = String(status.st_mode & 0o777, radix: 8)
                faults.append("\(path) has mode 0\(mode), expected 0600")
            }
        }
        var status = stat()
        if stat(self.directory.path, &status) == 0, status.st_mode & 0o002 != 0 {
            faults.append("\(self.directory.path) can be written by everybody")
        }
        guard let first = faults.first else {
            return [DoctorFinding(check: "permissions", status: .ok, message: "keys are private")]
        }
        return [
            DoctorFinding(
                check: "permissions",
                status: .fail,
                message: first + (faults.count > 1 ? " (and \(faults.count - 1) more)" : ""),
                advice: "chmod the file, and replace its content if others may have read it"
            )
        ]
    }

    // MARK: Clock

    /// Looks at the clock of this machine, as far as this process may.
    package static func clock() -> DoctorFinding { Self.clock(ClockState.read()) }

    /// Judges what is known of the clock.
    static func clock(_ state: ClockState) -> DoctorFinding {
        switch state {
        case .kernel(isSynchronized: true, errorMaxMicroseconds: let error):
            DoctorFinding(
                check: "clock",
                status: .ok,
                message: "synchronized, error at most \(error / 1_000) ms"
            )
        case .kernel(isSynchronized: false, errorMaxMicroseconds: _):
            DoctorFinding(
                check: "clock",
                status: .warn,
                message: "the clock is not synchronized",
                advice: "run a time service: apt install systemd-timesyncd (or chrony)"
            )
        case .timesyncd:
            DoctorFinding(
                check: "clock",
                status: .ok,
                message: "synchronized, by systemd-timesyncd"
            )
        case .hidden:
            DoctorFinding(
                check: "clock",
                status: .warn,
                message: "not looked at: the sandbox of this process hides the kernel's clock, and "
                    + "systemd-timesyncd says nothing",
                advice: "run prustadm doctor or timedatectl on that machine"
            )
        }
    }

    // MARK: Disk

    private func disk() -> DoctorFinding {
        let descriptor = self.openScratch()
        guard descriptor >= 0 else {
            return DoctorFinding(
                check: "disk-latency",
                status: .fail,
                message: "cannot write to \(self.directory.path): "
                    + String(cString: strerror(errno)),
                advice: "run it as the owner of the data directory; see that the disk is mounted "
                    + "for writing and has room"
            )
        }
        defer { close(descriptor) }
        let block = [UInt8](repeating: 0x5A, count: Self.syncByteCount)
        let clock = ContinuousClock()
        var times: [Duration] = []
        for index in 0..<Self.syncCount {
            let start = clock.now
            let offset = off_t(index * Self.syncByteCount)
            guard pwrite(descriptor, block, block.count, offset) == block.count,
                fdatasync(descriptor) == 0
            else {
                return DoctorFinding(
                    check: "disk-latency",
                    status: .fail,
                    message: "a write failed: \(String(cString: strerror(errno)))",
                    advice: "look at the kernel's messages (dmesg) for this disk"
                )
            }
            times.append(clock.now - start)
        }
        times.sort()
        return Self.latency(median: times[times.count / 2], slowest: times[times.count - 1])
    }

    /// A file that no other examination meets and that goes with its descriptor.
    private func openScratch() -> Int32 {
        let directory = self.directory.path
        let flags = O_RDWR | O_CLOEXEC
        let anonymous = open(directory, flags | Self.anonymousFile, 0o600)
        if anonymous >= 0 { return anonymous }
        // Some file systems have no files without a name.
        guard errno == EOPNOTSUPP || errno == EISDIR else { return -1 }
        let path = "\(directory)/.doctor-\(UInt64.random(in: .min ... .max))"
        let descriptor = open(path, flags | O_CREAT | O_EXCL, 0o600)
        if descriptor >= 0 { unlink(path) }
        return descriptor
    }

    /// Judges how long a synchronized write takes.
    static func latency(median: Duration, slowest: Duration) -> DoctorFinding {
        func text(_ duration: Duration) -> String {
            let micros =
                duration.components.seconds * 1_000_000
                + duration.components.attoseconds / 1_000_000_000_000
            return micros < 10_000 ? "\(micros) us" : "\(micros / 1_000) ms"
        }
        let message = "fdatasync of 4 KiB takes \(text(median)) (slowest \(text(slowest)))"
        let advice =
            "acknowledged writes wait for the disk: use a local disk with power-loss "
            + "protection, and nothing else on it"
        if median >= Self.syncFailure {
            return DoctorFinding(
                check: "disk-latency",
                status: .fail,
                message: message,
                advice: advice
            )
        }
        let isSlow = median >= Self.syncWarning
        return DoctorFinding(
            check: "disk-latency",
            status: isSlow ? .warn : .ok,
            message: message,
            advice: isSlow ? advice : nil
        )
    }

    private func space() -> DoctorFinding {
        var status = statvfs()
        guard statvfs(self.directory.path, &status) == 0 else {
            return DoctorFinding(
                check: "free-space",
                status: .fail,
                message: "\(self.directory.path): \(String(cString: strerror(errno)))"
            )
        }
        let block = UInt64(status.f_frsize)
        let free = UInt64(status.f_bavail).multipliedReportingOverflow(by: block).partialValue
        let total = UInt64(status.f_blocks).multipliedReportingOverflow(by: block).partialValue
        return Self.space(free: Int(clamping: free), total: Int(clamping: total))
    }

    /// Judges how much room there is.
    static func space(free: Int, total: Int) -> DoctorFinding {
        let percent = total > 0 ? Int(Double(free) / Double(total) * 100) : 0
        let message = "\(free >> 20) MiB free (\(percent) %)"
        let isFull = free < Self.freeBytesFailure
        let isLow = free < Self.freeBytesWarning || percent < Self.freePercentWarning
        return DoctorFinding(
            check: "free-space",
            status: isFull ? .fail : isLow ? .warn : .ok,
            message: message,
            advice: isFull || isLow ? "free some, or move the data directory to a larger disk" : nil
        )
    }

    // MARK: Limits of the process

    private static func fileLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return Int(clamping: limit.rlim_cur)
    }

    /// Judges the limit of open files.
    static func files(limit: Int, connections: Int) -> DoctorFinding {
        let needed = connections + Self.descriptorReserve
        let isEnough = limit >= needed
        return DoctorFinding(
            check: "file-limit",
            status: isEnough ? .ok : .warn,
            message: "\(limit) open files are allowed, limits.connections needs \(needed)",
            advice: isEnough ? nil : "raise LimitNOFILE= of the unit, or lower limits.connections"
        )
    }
}
