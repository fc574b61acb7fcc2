/// What must hold for a set to take place.
public struct SetCondition: Hashable, Sendable {
    enum Kind: Hashable {
        case always
        case ifAbsent
        case ifPresent
        case ifEqual([UInt8])
    }

    let kind: Kind

    /// Sets whatever is there.
    public static let always = Self(kind: .always)
    /// Sets only a key that does not exist.
    public static let ifAbsent = Self(kind: .ifAbsent)
    /// Sets only a key that exists.
    public static let ifPresent = Self(kind: .ifPresent)

    /// Sets only a key that exists and holds exactly these bytes.
    ///
    /// - Parameter value: The bytes to compare with.
    /// - Returns: The condition.
    public static func ifEqual(_ value: some Collection<UInt8>) -> Self {
        Self(kind: .ifEqual(Array(value)))
    }
}
