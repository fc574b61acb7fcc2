import PrustCore

/// The members of ``PrustCore/Limits`` as `prustadm limits` shows them.
enum FixedLimits {
    static let all: [LimitReport] = [
        Self.bytes("key-bytes", Limits.keyByteCountMax),
        Self.bytes("value-bytes", Limits.valueByteCountMax),
        Self.count("arguments", Limits.argumentCountMax),
        Self.bytes("command-bytes", Limits.commandByteCountMax),
        Self.bytes("inline-command", Limits.inlineByteCountMax),
        Self.bytes("name", Limits.nameByteCountMax),
        Self.bytes("password", Limits.passwordByteCountMax),
        Self.count("users", Limits.userCountMax),
        Self.count("roles", Limits.roleCountMax),
        Self.count("prefixes-per-role", Limits.rolePrefixCountMax),
        Self.bytes("admin-body", Limits.adminBodyByteCountMax),
        Self.bytes("settings-file", Limits.settingsByteCountMax),
        Self.bytes("pem-file", Limits.pemByteCountMax),
        Self.bytes("handshake", Limits.handshakeByteCountMax),
        Self.count("probe-connections", ConnectionLimiter.probeCountMax),
        Self.count("admin-connections", ConnectionLimiter.adminSocketCountMax),
    ]

    private static func bytes(_ name: String, _ value: Int) -> LimitReport {
        LimitReport(name: name, value: value, unit: .bytes)
    }

    private static func count(_ name: String, _ value: Int) -> LimitReport {
        LimitReport(name: name, value: value, unit: .count)
    }
}
