internal import COpenSSL

/// Owns one reference to a reference-counted object of OpenSSL and drops it at the end.
///
/// Only objects that nobody changes once they are here (keys, certificates, requests, sessions):
/// OpenSSL's reads of those, and its reference counts, are safe from any thread.
final class OpenSSLObject: @unchecked Sendable {  // tidy:allow never changed; thread-safe reads
    typealias Release = @convention(c) (OpaquePointer?) -> Void

    let pointer: OpaquePointer
    private let release: Release

    /// Takes over the caller's reference; `nil` in, `nil` out.
    init?(_ pointer: OpaquePointer?, release: @escaping Release) {
        guard let pointer else { return nil }
        self.pointer = pointer
        self.release = release
    }

    deinit {
        self.release(self.pointer)
    }
}

/// What OpenSSL left in this thread's error queue.
enum OpenSSLErrors {
    /// The library's own words for the oldest error; empties the queue.
    static func take() -> String {
        let error = ERR_get_error()
        ERR_clear_error()
        guard error != 0, let text = ERR_reason_error_string(error) else { return "unknown error" }
        return String(cString: text)
    }

    /// Whether the newest error says that there was no (more) PEM block; empties the queue.
    static func takeIsEndOfPEM() -> Bool {
        let error = ERR_peek_last_error()
        ERR_clear_error()
        return prust_error_library(error) == ERR_LIB_PEM
            && prust_error_reason(error) == PEM_R_NO_START_LINE
    }
}

/// A memory BIO: bytes in for a parser, or bytes out of a printer.
enum MemoryBIO {
    /// Lets `body` read `bytes`.
    static func reading<Result>(_ bytes: [UInt8], _ body: (OpaquePointer) -> Result?) -> Result? {
        bytes.withUnsafeBufferPointer { buffer in
            guard let bio = prust_memory_bio(buffer.baseAddress, buffer.count) else { return nil }
            defer { BIO_free(bio) }
            return body(bio)
        }
    }

    /// Gives back what `body` wrote, or `nil` when it did not return 1.
    static func written(by body: (OpaquePointer) -> Int32) -> [UInt8]? {
        guard let bio = BIO_new(BIO_s_mem()) else { return nil }
        defer { BIO_free(bio) }
        guard body(bio) == 1 else { return nil }
        var start: UnsafePointer<UInt8>?
        let count = prust_bio_contents(bio, &start)
        return [UInt8](UnsafeBufferPointer(start: start, count: count))
    }
}
