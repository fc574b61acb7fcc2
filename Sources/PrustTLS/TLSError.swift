/// Why a connection, a certificate or a key was not accepted.
package struct TLSError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Stable names, used as labels of metrics and fields of logs.
    package enum Code: String, Sendable, CaseIterable {
        // Handshakes.
        case peerCertificateExpired = "peer-certificate-expired"
        case peerCertificateNotYetValid = "peer-certificate-not-yet-valid"
        case peerCertificateInvalid = "peer-certificate-invalid"
        case noPeerCertificate = "no-peer-certificate"
        case unknownAuthority = "unknown-ca"
        case wrongPeerIdentity = "wrong-peer-identity"
        case hostNameMismatch = "host-name-mismatch"
        case unsupportedProtocol = "unsupported-protocol"
        case noSharedParameters = "no-shared-parameters"
        case noApplicationProtocol = "no-application-protocol"
        case refusedByPeer = "refused-by-peer"
        case notTLS = "not-tls"
        case handshakeTimedOut = "handshake-timed-out"
        case handshakeTooLarge = "handshake-too-large"
        case handshakeInterrupted = "handshake-interrupted"
        case earlyWritesTooLarge = "early-writes-too-large"
        // Connections.
        case truncated = "truncated"
        case protocolViolation = "protocol-violation"
        // Certificates, keys and files.
        case fileUnreadable = "file-unreadable"
        case fileNotWritten = "file-not-written"
        case fileTooLarge = "file-too-large"
        case filePermissions = "file-permissions"
        case notPEM = "not-pem"
        case wrongKeyType = "wrong-key-type"
        case keyMismatch = "key-mismatch"
        case certificateExpired = "certificate-expired"
        case certificateNotYetValid = "certificate-not-yet-valid"
        case notSignedByAuthority = "not-signed-by-ca"
        case notAnAuthority = "not-a-ca"
        case wrongSubjectAlternativeName = "wrong-subject-alternative-name"
        case badRequest = "bad-certificate-request"
        case badName = "bad-name"
        case badParameters = "bad-parameters"
        /// OpenSSL could not do what always works: out of memory, or a broken installation.
        case library = "openssl"
    }

    package let code: Code
    /// One line for a person: what is wrong, where, and what was expected.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { self.message }

    /// The error of a call that fails only when memory or the installation does.
    static func library(_ what: String) -> Self {
        Self(.library, "OpenSSL: \(what): \(OpenSSLErrors.take())")
    }
}
