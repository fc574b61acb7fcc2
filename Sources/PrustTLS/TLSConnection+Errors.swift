internal import COpenSSL
internal import PrustCore

extension TLSConnection {
    /// Reasons of libssl that stand for an alert of the peer start here.
    private static let alertReasonOffset: Int32 = 1000

    /// Says what went wrong in the call before, and empties this thread's error queue.
    ///
    /// `isHandshake` is `false` once the connection was complete.
    func takeError(isHandshake: Bool) -> TLSError {
        let error = ERR_get_error()
        ERR_clear_error()
        let prefix = isHandshake ? "handshake failed: " : "connection failed: "
        guard error != 0, prust_error_library(error) == ERR_LIB_SSL else {
            return TLSError(.protocolViolation, prefix + Self.text(of: error))
        }
        let reason = prust_error_reason(error)
        if (Self.alertReasonOffset...Self.alertReasonOffset + 255).contains(reason) {
            let alert = Self.text(ofAlert: reason - Self.alertReasonOffset)
            return TLSError(.refusedByPeer, prefix + alert)
        }
        let (code, what) = self.explain(reason: reason, error: error, isHandshake: isHandshake)
        return TLSError(code, prefix + what)
    }

    private func explain(
        reason: Int32,
        error: UInt,
        isHandshake: Bool
    ) -> (TLSError.Code, String) {
        switch reason {
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            self.explainVerification()
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            (.noPeerCertificate, "no client certificate was sent")
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_WRONG_SSL_VERSION:
            (.unsupportedProtocol, "unsupported protocol: \(self.offeredVersion)")
        case SSL_R_NO_APPLICATION_PROTOCOL:
            (
                .noApplicationProtocol,
                "no common application protocol: the peer offers none of "
                    + self.context.applicationProtocols.joined(separator: ", ")
            )
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SHARED_GROUPS,
            SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
            SSL_R_NO_SUITABLE_GROUPS:
            (
                .noSharedParameters,
                "no common cipher suite, group or signature algorithm: "
                    + Self.text(of: error)
            )
        case SSL_R_HTTP_REQUEST where isHandshake, SSL_R_WRONG_VERSION_NUMBER where isHandshake:
            (.notTLS, "not TLS: the bytes are no TLS record")
        default:
            (.protocolViolation, Self.text(of: error))
        }
    }

    private var offeredVersion: String {
        guard self.context.isServer else { return "the peer does not speak TLS 1.3" }
        let version =
            switch SSL_client_version(self.ssl) {
            case TLS1_VERSION: "1.0"
            case TLS1_1_VERSION: "1.1"
            default: "1.2"
            }
        return "the peer offers at most TLS \(version), TLS 1.3 is needed"
    }

    private func explainVerification() -> (TLSError.Code, String) {
        let io = self.io.pointee
        let reason = io.verify_error
        let whose =
            io.verify_depth == 0
            ? "the peer's certificate" : "a CA certificate in the peer's chain"
        switch reason {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            let day = DateText.day(ofUnixSeconds: io.verify_not_after)
            return (.peerCertificateExpired, "\(whose) expired on \(day)")
        case X509_V_ERR_CERT_NOT_YET_VALID:
            let day = DateText.day(ofUnixSeconds: io.verify_not_before)
            return (.peerCertificateNotYetValid, "\(whose) is not valid before \(day)")
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            let host = self.expectation.hostName ?? "?"
            return (.hostNameMismatch, "\(whose) is not for \(host)")
        case X509_V_ERR_APPLICATION_VERIFICATION:
            let uri = self.expectation.nodeID.map { PeerIdentity.node($0).uri } ?? "?"
            return (.wrongPeerIdentity, "\(whose) is not for \(uri)")
        case X509_V_ERR_INVALID_PURPOSE:
            let purpose = self.context.isServer ? "clients" : "servers"
            return (
                .peerCertificateInvalid,
                "\(whose) may not be used by \(purpose) (extended key usage)"
            )
        default:
            if VerifyFailure.isUnknownAuthority(reason) {
                return (.unknownAuthority, "unknown CA: \(whose) is not signed by a trusted CA")
            }
            let text = String(cString: X509_verify_cert_error_string(Int(reason)))
            return (.peerCertificateInvalid, "\(whose) is not accepted: \(text)")
        }
    }

    private static func text(of error: UInt) -> String {
        guard error != 0 else { return "unknown error" }
        guard let text = ERR_reason_error_string(error) else { return "error \(error)" }
        return String(cString: text)
    }

    private static func text(ofAlert alert: Int32) -> String {
        switch alert {
        case SSL3_AD_BAD_CERTIFICATE: "the peer refused our certificate"
        case SSL3_AD_CERTIFICATE_EXPIRED:
            "the peer refused our certificate: expired or not yet valid"
        case SSL3_AD_CERTIFICATE_REVOKED: "the peer refused our certificate: revoked"
        case SSL3_AD_UNSUPPORTED_CERTIFICATE, SSL3_AD_CERTIFICATE_UNKNOWN:
            "the peer refused our certificate: of an unsupported kind"
        case TLS1_AD_UNKNOWN_CA: "the peer does not trust the CA of our certificate"
        case TLS13_AD_CERTIFICATE_REQUIRED:
            "the peer wants a client certificate and none was sent"
        case TLS1_AD_PROTOCOL_VERSION: "the peer does not speak TLS 1.3"
        case TLS1_AD_NO_APPLICATION_PROTOCOL:
            "the peer speaks none of the application protocols that were offered"
        case SSL3_AD_HANDSHAKE_FAILURE:
            "the peer accepts none of the parameters that were offered, or not our certificate"
        default:
            "the peer sent the alert: " + String(cString: SSL_alert_desc_string_long(alert))
        }
    }
}
