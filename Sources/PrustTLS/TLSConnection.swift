internal import COpenSSL
internal import NIOCore
internal import PrustCore

/// One connection's TLS state without a channel: ciphertext and plaintext in buffers.
///
/// The BIO reads from the memory of the buffer that came from the socket and writes into the
/// buffer that goes to it (see shim.h), so ciphertext is copied once each way and not twice.
final class TLSConnection {
    enum Progress {
        /// All input is used; more is needed.
        case wantsInput
        case completed
        /// The peer sent `close_notify`.
        case ended
        /// See ``takeError()``; an alert for the peer may be in the output.
        case failed
    }

    /// Bytes that a record may add: header, content type and tag.
    private static let recordOverhead = 22
    /// Bytes of a record with a key update in it, and some.
    private static let keyUpdateByteCount = 64
    static let recordByteCountMax = 16 * 1024

    let context: TLSContext
    let ssl: OpaquePointer
    let io: UnsafeMutablePointer<prust_io>
    let expectation: TLSPeerExpectation
    private var hasOfferedSession = false
    private let rekeyRecordCount: Int
    /// Records encrypted with the present key, at most.
    private var recordCount = 0

    init(
        context: TLSContext,
        expectation: TLSPeerExpectation,
        rekeyRecordCount: Int
    ) throws(TLSError) {
        guard let io = prust_io_new() else { throw .library("connection") }
        guard let ssl = prust_ssl_new(context.pointer, context.method, io) else {
            prust_io_free(io)
            throw .library("connection")
        }
        self.context = context
        self.ssl = ssl
        self.io = io
        self.expectation = expectation
        self.rekeyRecordCount = rekeyRecordCount
        if context.isServer {
            SSL_set_accept_state(ssl)
        } else {
            SSL_set_connect_state(ssl)
            try self.expect(expectation)
        }
    }

    deinit {
        SSL_free(self.ssl)
        prust_io_free(self.io)
    }

    private func expect(_ expectation: TLSPeerExpectation) throws(TLSError) {
        defer { ERR_clear_error() }
        if let host = expectation.hostName {
            let parameters = SSL_get0_param(self.ssl)
            let isAddress = IPAddress.bytes(of: host) != nil
            if !isAddress, prust_ssl_set_host(self.ssl, host) != 1 {
                throw TLSError(.badName, "host name: expected at most 255 bytes")
            }
            if expectation.verifiesHostName {
                // Only subject alternative names count; a common name is for people.
                let flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
                X509_VERIFY_PARAM_set_hostflags(parameters, UInt32(flags))
                let result =
                    isAddress
                    ? X509_VERIFY_PARAM_set1_ip_asc(parameters, host)
                    : X509_VERIFY_PARAM_set1_host(parameters, host, host.utf8.count)
                guard result == 1 else { throw .library("host name") }
            }
        }
        if let id = expectation.nodeID {
            guard prust_io_expect_uri(self.io, PeerIdentity.node(id).uri) == 1 else {
                throw .library("expected identity")
            }
        }
        if let session = self.context.session(for: expectation) {
            self.hasOfferedSession = SSL_set_session(self.ssl, session.pointer) == 1
        }
    }

    var isResumed: Bool { prust_ssl_is_resumed(self.ssl) }

    var applicationProtocol: String? {
        var start: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(self.ssl, &start, &count)
        guard let start, count > 0 else { return nil }
        return String(
            decoding: UnsafeBufferPointer(start: start, count: Int(count)),
            as: UTF8.self
        )
    }

    var peer: PeerCertificate? {
        prust_ssl_get0_peer(self.ssl).map { PeerCertificate(x509: $0) }
    }

    /// Goes on with the handshake, using at most `byteCountMax` bytes of `input`.
    func handshake(
        _ input: inout ByteBuffer,
        byteCountMax: Int,
        output: inout ByteBuffer
    ) -> Progress {
        let io = self.io
        let ssl = self.ssl
        var reason = SSL_ERROR_NONE
        input.readWithUnsafeReadableBytes { bytes in
            self.setInput(bytes, count: min(bytes.count, byteCountMax))
            reason = prust_ssl_handshake(ssl)
            let used = io.pointee.input_position
            self.clearInput()
            return used
        }
        self.takeOverflow(into: &output)
        switch reason {
        case SSL_ERROR_NONE: return .completed
        case SSL_ERROR_WANT_READ: return .wantsInput
        default: return .failed
        }
    }

    /// Decrypts all of `input`, up to the end or the first error.
    func decrypt(
        _ input: inout ByteBuffer,
        into plaintext: inout ByteBuffer,
        output: inout ByteBuffer
    ) -> Progress {
        let io = self.io
        let ssl = self.ssl
        var reason = SSL_ERROR_NONE
        input.readWithUnsafeReadableBytes { bytes in
            self.setInput(bytes, count: bytes.count)
            while reason == SSL_ERROR_NONE {
                let left = bytes.count - io.pointee.input_position
                let room = max(left, Int(SSL_pending(ssl)), 256)
                plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
                    var count = 0
                    let start = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    reason = prust_ssl_read(ssl, io, start, target.count, &count)
                    return count
                }
            }
            self.clearInput()
            return bytes.count
        }
        if io.pointee.overflow_count > 0 { self.takeOverflow(into: &output) }
        if io.pointee.session != nil { self.keepSession() }
        switch reason {
        case SSL_ERROR_WANT_READ: return .wantsInput
        case SSL_ERROR_ZERO_RETURN: return .ended
        default: return .failed
        }
    }

    /// Encrypts `bytes` as full records and a rest; `false` when the connection has failed.
    func encrypt(_ bytes: ByteBuffer, into output: inout ByteBuffer) -> Bool {
        let io = self.io
        let ssl = self.ssl
        let byteCount = bytes.readableBytes
        let recordCount = 1 + byteCount / Self.recordByteCountMax
        var room = byteCount + recordCount * Self.recordOverhead
        self.recordCount += recordCount
        if self.recordCount > self.rekeyRecordCount {
            self.recordCount = recordCount
            self.updateKey(isAnswerWanted: false)
            room += Self.keyUpdateByteCount
        }
        var reason = SSL_ERROR_NONE
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
            io.pointee.output = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
            io.pointee.output_capacity = target.count
            io.pointee.output_count = 0
            bytes.withUnsafeReadableBytes { source in
                let start = source.baseAddress?.assumingMemoryBound(to: UInt8.self)
                reason = prust_ssl_write(ssl, start, source.count)
            }
            io.pointee.output = nil
            io.pointee.output_capacity = 0
            return io.pointee.output_count
        }
        io.pointee.output_count = 0
        if io.pointee.overflow_count > 0 { self.takeOverflow(into: &output) }
        return reason == SSL_ERROR_NONE
    }

    /// Changes this side's key with the next write; the peer may be asked to change its own.
    func updateKey(isAnswerWanted: Bool) {
        let kind = isAnswerWanted ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED
        SSL_key_update(self.ssl, kind)
    }

    /// Writes `close_notify`.
    func shutDown(output: inout ByteBuffer) {
        prust_clear_errors()
        SSL_shutdown(self.ssl)
        ERR_clear_error()
        self.takeOverflow(into: &output)
    }

    /// A session that did not lead to a connection may be the reason why.
    func forgetOfferedSession() {
        if self.hasOfferedSession { self.context.forgetSession(for: self.expectation) }
    }

    private func setInput(_ bytes: UnsafeRawBufferPointer, count: Int) {
        self.io.pointee.input = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        self.io.pointee.input_count = max(count, 0)
        self.io.pointee.input_position = 0
    }

    private func clearInput() {
        self.io.pointee.input = nil
        self.io.pointee.input_count = 0
        self.io.pointee.input_position = 0
    }

    private func takeOverflow(into output: inout ByteBuffer) {
        let count = self.io.pointee.overflow_count
        guard count > 0 else { return }
        output.writeBytes(UnsafeRawBufferPointer(start: self.io.pointee.overflow, count: count))
        prust_io_clear_overflow(self.io)
    }

    private func keepSession() {
        let session = OpenSSLObject(self.io.pointee.session, release: SSL_SESSION_free)
        self.io.pointee.session = nil
        if let session { self.context.keep(session, for: self.expectation) }
    }
}
