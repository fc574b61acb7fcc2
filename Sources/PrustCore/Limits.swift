/// Every bound of the system that is not a setting, in one place, so that `prustadm limits` can
/// show it and a test can stand at it and one past it.
package enum Limits {
    /// Bytes of a key.
    package static let keyByteCountMax = 4 * 1024
    /// Bytes of a value, before compression.
    package static let valueByteCountMax = 16 * 1024 * 1024
    /// Arguments of one command, its name included.
    package static let argumentCountMax = 64 * 1024
    /// Bytes of one command's arguments together.
    package static let commandByteCountMax = 32 * 1024 * 1024
    /// Bytes of an inline command (a line without a RESP header), as in Redis.
    package static let inlineByteCountMax = 64 * 1024
    /// Nested levels of a RESP reply that a client accepts.
    package static let replyDepthMax = 32
    /// Bytes of a name of a user, role or client.
    package static let nameByteCountMax = 64
    /// Bytes of a password.
    package static let passwordByteCountMax = 512
    /// Users, and roles, that a cluster may define.
    package static let userCountMax = 10_000
    package static let roleCountMax = 1_000
    /// Key prefixes of one role.
    package static let rolePrefixCountMax = 64
    /// Bytes of the body of a request to the admin API.
    package static let adminBodyByteCountMax = 1024 * 1024
    /// Bytes of the settings file.
    package static let settingsByteCountMax = 1024 * 1024
    /// Bytes of a PEM file (certificate chain, key or CA bundle).
    package static let pemByteCountMax = 1024 * 1024
    /// Bytes that a peer may send before its TLS handshake is complete.
    package static let handshakeByteCountMax = 64 * 1024
}
