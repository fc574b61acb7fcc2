import CSystemd
import Glibc

/// A listening socket that the service manager opened for the daemon (socket activation).
package struct ListenSocket: Equatable, Sendable {
    package enum Family: String, Equatable, Sendable, CaseIterable {
        case tcp = "a listening TCP socket"
        case unix = "a listening Unix stream socket"
    }

    package let descriptor: CInt
    /// `FileDescriptorName=` of the socket unit.
    package let name: String
    package let family: Family

    package init(descriptor: CInt, name: String, family: Family) {
        self.descriptor = descriptor
        self.name = name
        self.family = family
    }

    /// All sockets that were handed over, in the order of their descriptors.
    ///
    /// Call it once, at start and before other threads run: it takes the variables out of the
    /// environment, so that no child believes the sockets to be its own.
    ///
    /// `expected` says for each name that the daemon knows what the socket may be. The first
    /// descriptor that is something else is the error; the process is about to end then, so the others
    /// stay open.
    package static func inherited(
        expected: [String: [Family]]
    ) throws(ListenSocketError) -> [ListenSocket] {
        var pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(1, &pointers)
        defer {
            for index in 0..<max(Int(count), 0) { free(pointers?[index]) }
            free(pointers)
        }
        guard count >= 0 else { throw .environment(errno: -count) }
        var sockets: [ListenSocket] = []
        for index in 0..<count {
            let name = pointers?[Int(index)].map { String(cString: $0) } ?? "unknown"
            let descriptor = SD_LISTEN_FDS_START + index
            sockets.append(try Self.check(descriptor, name: name, expected: expected))
        }
        return sockets
    }

    /// Checks one descriptor.
    package static func check(
        _ descriptor: CInt,
        name: String,
        expected: [String: [Family]]
    ) throws(ListenSocketError) -> ListenSocket {
        guard let families = expected[name] else {
            throw .unknownName(descriptor, name: name, known: expected.keys.sorted())
        }
        for family in families where Self.matches(descriptor, family: family) {
            return ListenSocket(descriptor: descriptor, name: name, family: family)
        }
        throw .unexpected(
            descriptor,
            name: name,
            expected: families.map(\.rawValue),
            found: Self.describe(descriptor)
        )
    }

    private static let stream = CInt(SOCK_STREAM.rawValue)

    private static func matches(_ descriptor: CInt, family: Family) -> Bool {
        switch family {
        case .tcp: sd_is_socket_inet(descriptor, AF_UNSPEC, Self.stream, 1, 0) > 0
        case .unix: sd_is_socket_unix(descriptor, Self.stream, 1, nil, 0) > 0
        }
    }

    /// Says what a descriptor really is, for the error.
    private static func describe(_ descriptor: CInt) -> String {
        guard fcntl(descriptor, F_GETFD) >= 0 else { return "not open" }
        guard sd_is_socket(descriptor, AF_UNSPEC, 0, -1) > 0 else {
            return sd_is_fifo(descriptor, nil) > 0 ? "a pipe" : "not a socket"
        }
        let isInternet =
            sd_is_socket(descriptor, AF_INET, 0, -1) > 0
            || sd_is_socket(descriptor, AF_INET6, 0, -1) > 0
        let isUnix = sd_is_socket(descriptor, AF_UNIX, 0, -1) > 0
        let family = isInternet ? "an Internet" : isUnix ? "a Unix" : "an unknown"
        guard sd_is_socket(descriptor, AF_UNSPEC, Self.stream, -1) > 0 else {
            return "\(family) socket that is no stream socket"
        }
        let isListening = sd_is_socket(descriptor, AF_UNSPEC, Self.stream, 1) > 0
        return "\(family) stream socket that is\(isListening ? "" : " not") listening"
    }
}

/// Why a descriptor from the service manager is refused.
package enum ListenSocketError: Error, Equatable, Sendable, CustomStringConvertible {
    case environment(errno: CInt)
    case unknownName(CInt, name: String, known: [String])
    case unexpected(CInt, name: String, expected: [String], found: String)

    package var description: String {
        switch self {
        case .environment(let code):
            "LISTEN_FDS, LISTEN_PID or LISTEN_FDNAMES cannot be read: \(String(cString: strerror(code)))"
        case .unknownName(let descriptor, let name, let known):
            "descriptor \(descriptor) from the service manager is named \"\(LogText.escape(name))\"; "
                + "expected FileDescriptorName= to be one of \(known.joined(separator: ", "))"
        case .unexpected(let descriptor, let name, let expected, let found):
            "descriptor \(descriptor) (\(name)) from the service manager is \(found); expected "
                + expected.joined(separator: " or ")
        }
    }
}
