import PrustDBClient

/// What ends the program, in one line, and its exit status.
struct BenchError: Error {
    /// The exit status, the same for all of PrustDB's programs.
    enum Status: Int32 {
        case failed = 1
        case usage = 2
        case unreachable = 3
        case notAllowed = 4
        case outcomeUnknown = 6
    }

    let status: Status
    let message: String

    init(_ status: Status, _ message: String) {
        self.status = status
        self.message = message
    }

    init(_ error: ClientError) {
        self.message = error.message
        switch error.code {
        case .connectionLost, .timeout: self.status = .unreachable
        case .authenticationFailed, .permissionDenied: self.status = .notAllowed
        case .tls: self.status = .unreachable
        case .invalidConfiguration: self.status = .usage
        default: self.status = .failed
        }
    }
}
