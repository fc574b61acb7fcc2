import Glibc

/// What the kernel says of this process, read from `/proc/self`.
///
/// It works below `ProcSubset=pid` and `ProtectProc=invisible`: nothing outside of the process' own
/// directory is read. What cannot be read is `nil` and then absent from the page.
package enum ProcessStatistics {
    /// Lines of `/proc/self/status` that are read.
    package enum StatusField: String, Sendable {
        case residentMemory = "VmRSS"
        case anonymousMemory = "RssAnon"
        case virtualMemory = "VmSize"
        case threads = "Threads"
    }

    /// A number of `/proc/self/status`; what has the unit kB is given in bytes.
    package static func status(_ field: StatusField) -> Double? {
        Self.status(field, in: Self.read("/proc/self/status") ?? "")
    }

    package static func status(_ field: StatusField, in text: String) -> Double? {
        for line in text.split(separator: "\n") where line.hasPrefix(field.rawValue + ":") {
            let words = line.dropFirst(field.rawValue.utf8.count + 1)
                .split { $0 == " " || $0 == "\t" }
            guard let number = words.first.flatMap({ Double($0) }) else { return nil }
            return words.count > 1 && words[1] == "kB" ? number * 1024 : number
        }
        return nil
    }

    /// Processor time of all threads, in user and kernel mode.
    package static func cpuSeconds() -> Double {
        var usage = rusage()
        guard getrusage(RUSAGE_SELF.rawValue, &usage) == 0 else { return 0 }
        return Self.seconds(usage.ru_utime) + Self.seconds(usage.ru_stime)
    }

    /// Open file descriptors.
    package static func openFileCount() -> Double? {
        var status = stat()
        // Since Linux 6.2 the size of the directory is the number of descriptors.
        if stat("/proc/self/fd", &status) == 0, status.st_size > 0 {
            return Double(status.st_size)
        }
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Without ".", ".." and the descriptor that lists them.
        return Double(max(count - 3, 0))
    }

    /// The soft limit of open file descriptors.
    package static func openFileCountMax() -> Double? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return nil
        }
        return limit.rlim_cur == rlim_t.max ? .infinity : Double(limit.rlim_cur)
    }

    /// Unix time of the start of the process.
    ///
    /// It is counted back from now by the boot clock, because `/proc/stat`, which has the time of
    /// the boot, is hidden by `ProcSubset=pid`.
    package static func startTime() -> Double? {
        let ticksPerSecond = Double(sysconf(Int32(_SC_CLK_TCK)))
        guard ticksPerSecond > 0, let text = Self.read("/proc/self/stat"),
            let ticks = Self.startTicks(in: text)
        else { return nil }
        var boot = timespec()
        var wall = timespec()
        guard clock_gettime(CLOCK_BOOTTIME, &boot) == 0, clock_gettime(CLOCK_REALTIME, &wall) == 0
        else { return nil }
        let age = Self.seconds(boot) - ticks / ticksPerSecond
        return Self.seconds(wall) - age
    }

    /// Field 22 of `/proc/self/stat`, counted behind the program's name, which may hold anything.
    package static func startTicks(in text: String) -> Double? {
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split { $0 == " " || $0 == "\n" }
        return fields.count > 19 ? Double(fields[19]) : nil
    }

    private static func seconds(_ time: timeval) -> Double {
        Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000
    }

    private static func seconds(_ time: timespec) -> Double {
        Double(time.tv_sec) + Double(time.tv_nsec) / 1_000_000_000
    }

    /// Files below `/proc/self` are short; 16 KiB holds each that is read here.
    private static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 16 * 1024)
        let count = bytes.withUnsafeMutableBytes {
            Glibc.read(descriptor, $0.baseAddress, $0.count)
        }
        guard count > 0 else { return nil }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
