/// When a key ends.
public struct Expiry: Hashable, Sendable {
    enum Kind: Hashable {
        case after(Duration)
        case at(unixMilliseconds: Int64)
        case keep
    }

    let kind: Kind

    /// Ends this long after the server has run the command.
    ///
    /// - Parameter duration: At least 1 ms; parts of a millisecond are rounded up.
    /// - Returns: The expiry.
    public static func after(_ duration: Duration) -> Self {
        Self(kind: .after(duration))
    }

    /// Ends at a moment of wall-clock time.
    ///
    /// - Parameter unixMilliseconds: Milliseconds since 1970-01-01 UTC, greater than 0.
    /// - Returns: The expiry.
    public static func at(unixMilliseconds: Int64) -> Self {
        Self(kind: .at(unixMilliseconds: unixMilliseconds))
    }

    /// Keeps the end that the key has; without it, setting a key makes it endless.
    public static let keep = Self(kind: .keep)
}

/// What is left of a key's life.
public enum TimeToLive: Hashable, Sendable {
    /// There is no such key.
    case missing
    /// The key has no end.
    case endless
    /// The key ends after this long, in whole milliseconds.
    case remaining(Duration)
}
