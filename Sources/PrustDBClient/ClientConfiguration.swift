private import PrustCore

/// The bounds within which a client works; every value has a default that fits most programs.
public struct ClientConfiguration: Hashable, Sendable {
    /// How long a call may take, waiting for a connection included, unless it says otherwise.
    public var deadline: Duration = .seconds(5)
    /// How long one attempt to connect may take: TCP, TLS and greeting.
    public var connectTimeout: Duration = .seconds(5)
    /// Connections that are kept, 1 to ``connectionCountMax``.
    public var connectionCountMin = 1
    /// Connections that are opened under load, up to 256.
    public var connectionCountMax = 4
    /// Calls that one connection carries at once, 1 to 65,536.
    public var pipelineDepthMax = 512
    /// Calls that wait while all connections are full or none is there, 0 to 1,048,576.
    ///
    /// Beyond it calls fail at once, not applied.
    public var waitingCountMax = 16_384
    /// Shortest pause before connecting again; doubles with each failure, half of it is random.
    public var backoffMin: Duration = .milliseconds(50)
    /// Longest pause before connecting again.
    public var backoffMax: Duration = .seconds(2)
    /// Bytes of a value that may be written or read, up to 16 MiB.
    public var valueByteCountMax = Self.valueByteCountLimit
    /// How often one read is sent in all, when connections break under it, at least 1.
    public var readAttemptCountMax = 3

    private static let valueByteCountLimit = Limits.valueByteCountMax

    /// The defaults.
    public init() {}

    func validate() throws(ClientError) {
        try Self.check("deadline", self.deadline)
        try Self.check("connectTimeout", self.connectTimeout)
        try Self.check("backoffMin", self.backoffMin)
        try Self.check("backoffMax", self.backoffMax)
        try Self.check("connectionCountMax", self.connectionCountMax, in: 1...256)
        try Self.check(
            "connectionCountMin",
            self.connectionCountMin,
            in: 1...self.connectionCountMax
        )
        try Self.check("pipelineDepthMax", self.pipelineDepthMax, in: 1...65_536)
        try Self.check("waitingCountMax", self.waitingCountMax, in: 0...1_048_576)
        try Self.check(
            "valueByteCountMax",
            self.valueByteCountMax,
            in: 1...Self.valueByteCountLimit
        )
        try Self.check("readAttemptCountMax", self.readAttemptCountMax, in: 1...100)
    }

    static func check(_ name: String, _ duration: Duration) throws(ClientError) {
        guard duration > .zero, duration <= .seconds(86_400) else {
            throw ClientError(
                .invalidConfiguration,
                "\(name) is \(duration), more than 0 and at most one day is expected"
            )
        }
    }

    private static func check(
        _ name: String,
        _ value: Int,
        in range: ClosedRange<Int>
    ) throws(ClientError) {
        guard range.contains(value) else {
            throw ClientError(
                .invalidConfiguration,
                "\(name) is \(value), \(range.lowerBound) to \(range.upperBound) is expected"
            )
        }
    }
}
