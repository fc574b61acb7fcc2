/// What a role allows; every command needs exactly one of them.
package enum Verb: String, CaseIterable, Codable, Sendable {
    case read
    case write
    /// The admin API and the administrative commands of RESP.
    case admin
}

/// How a user showed who it is.
package enum AuthenticationMethod: String, Codable, Sendable {
    case certificate
    case password
    /// The Unix socket of the admin API, whose file permissions decide.
    case socket
}
