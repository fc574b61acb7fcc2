/// Why a call failed, and whether it changed anything.
public struct ClientError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    ///
    /// A struct and not an enumeration, so that codes can be added: compare with `==`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The deadline of the call passed.
        public static let timeout = Self(description: "timeout")
        /// The connection broke, or none could be made.
        public static let connectionLost = Self(description: "connection-lost")
        /// The server refused the command; the message is the server's.
        public static let serverError = Self(description: "server-error")
        /// The key holds another kind of value than the command works on.
        public static let wrongType = Self(description: "wrong-type")
        /// The server did not accept the credentials.
        public static let authenticationFailed = Self(description: "authentication-failed")
        /// The user may not run this command on this key.
        public static let permissionDenied = Self(description: "permission-denied")
        /// TLS could not be set up: a file, a certificate or the server's identity.
        public static let tls = Self(description: "tls")
        /// A key, value or command is over its limit; the message names the limit.
        public static let tooLarge = Self(description: "too-large")
        /// As many calls wait as the configuration allows.
        public static let overloaded = Self(description: "overloaded")
        /// The task of the call was cancelled.
        public static let cancelled = Self(description: "cancelled")
        /// The client was closed.
        public static let closed = Self(description: "closed")
        /// The server sent what no server may send.
        public static let protocolViolation = Self(description: "protocol-violation")
        /// The cluster says that it did not do it.
        public static let notApplied = Self(description: "not-applied")
        /// The cluster says that it cannot know whether it did it.
        public static let unknownOutcome = Self(description: "unknown-outcome")
        /// The profile, the address or the configuration is not valid; the message says where.
        public static let invalidConfiguration = Self(description: "invalid-configuration")
        /// An argument of the call is not valid.
        public static let invalidArgument = Self(description: "invalid-argument")
        /// A value that was asked for as text is not valid UTF-8.
        public static let invalidText = Self(description: "invalid-text")

        /// The code as a stable word, for logs and metrics.
        public let description: String
    }

    /// Whether the command took effect.
    public enum Outcome: String, Hashable, Sendable {
        /// Nothing was changed and nothing will be; the call may be repeated. Reads always say so.
        case notApplied = "not applied"
        /// The command took effect; only its answer could not be used.
        case applied
        /// The command was sent and its answer did not come: it took effect, or may yet, or not.
        case unknown
    }

    /// What went wrong.
    public let code: Code
    /// One line for people; never holds a key, a value or a password.
    public let message: String
    /// Whether the command took effect.
    public let outcome: Outcome
    /// What lies beneath, if anything.
    public let cause: (any Error)?

    package init(
        _ code: Code,
        _ message: String,
        outcome: Outcome = .notApplied,
        cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.outcome = outcome
        self.cause = cause
    }

    /// The code, the message and the outcome on one line.
    public var description: String {
        "\(self.code): \(self.message) (\(self.outcome.rawValue))"
    }

    package func with(outcome: Outcome) -> Self {
        Self(self.code, self.message, outcome: outcome, cause: self.cause)
    }
}
