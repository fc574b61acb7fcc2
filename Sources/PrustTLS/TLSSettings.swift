package import NIOCore
package import PrustCore

/// The bounds of a handshake and of the use of a key.
package struct TLSSettings: Sendable {
    /// From the start of the connection to the end of the handshake.
    package var handshakeTimeout: TimeAmount
    /// Bytes that the peer may send before its handshake is complete.
    package var handshakeByteCountMax: Int
    /// Bytes that may be written before the handshake is complete; they wait in memory.
    package var earlyWriteByteCountMax: Int
    /// Whether a server tells a client that speaks plain RESP or HTTP what is wrong, in its words.
    package var answersPlainText: Bool
    /// Records after which this side changes its key: AES-GCM is good for 2^24.5 (RFC 8446, 5.5).
    package var rekeyRecordCount: Int

    package init(
        handshakeTimeout: TimeAmount = .seconds(10),
        handshakeByteCountMax: Int = Limits.handshakeByteCountMax,
        earlyWriteByteCountMax: Int = 1024 * 1024,
        answersPlainText: Bool = true,
        rekeyRecordCount: Int = 1 << 23
    ) {
        self.handshakeTimeout = handshakeTimeout
        self.handshakeByteCountMax = handshakeByteCountMax
        self.earlyWriteByteCountMax = earlyWriteByteCountMax
        self.answersPlainText = answersPlainText
        self.rekeyRecordCount = rekeyRecordCount
    }
}

/// What a client wants to see in the certificate of the server that it dials.
package struct TLSPeerExpectation: Sendable, Hashable {
    /// A DNS name, also sent as server name, or an IP address.
    package var hostName: String?
    package var verifiesHostName: Bool
    package var nodeID: NodeID?

    /// Expects a certificate of the CA and, unless told otherwise, for the host that was dialled.
    package init(hostName: String?, verifiesHostName: Bool = true, nodeID: NodeID? = nil) {
        self.hostName = hostName
        self.verifiesHostName = verifiesHostName
        self.nodeID = nodeID
    }

    /// Any server with a certificate of the CA.
    package static let anyServer = Self(hostName: nil)
}

/// Counts handshakes; called on the connection's event loop.
package protocol TLSObserver: Sendable {
    func handshakeStarted()
    func handshakeCompleted(resumed: Bool)
    func handshakeFailed(code: TLSError.Code)
}

/// Fired as a user inbound event when the handshake is complete, before the first plaintext.
package struct TLSHandshakeCompleted: Sendable, Equatable {
    package let applicationProtocol: String?
    package let peer: PeerCertificate?
    package let isResumed: Bool

    package init(applicationProtocol: String?, peer: PeerCertificate?, isResumed: Bool) {
        self.applicationProtocol = applicationProtocol
        self.peer = peer
        self.isResumed = isResumed
    }
}
