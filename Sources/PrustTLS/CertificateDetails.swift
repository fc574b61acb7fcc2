internal import COpenSSL
internal import Glibc
internal import PrustCore

/// What a certificate says, as values.
package struct CertificateDetails: Sendable, Equatable {
    /// Distinguished names in the notation of RFC 2253.
    package let subject: String
    package let issuer: String
    package let commonName: String?
    /// The serial number as hexadecimal digits.
    package let serial: String
    /// Seconds since 1970-01-01 UTC.
    package let notBefore: Int64
    package let notAfter: Int64
    package let uris: [String]
    package let dnsNames: [String]
    package let ipAddresses: [String]
    /// `nil` when it is none of the kinds that PrustDB makes or takes.
    package let keyKind: PrivateKey.Kind?
    /// SHA-256 of the certificate, as hexadecimal digits.
    package let fingerprint: String
    package let isAuthority: Bool

    /// The one PrustDB identity in it, if there is exactly one.
    package var identity: PeerIdentity? { PeerIdentity(uris: self.uris) }

    init(x509: OpaquePointer) {
        self.subject = Self.text(of: X509_get_subject_name(x509))
        self.issuer = Self.text(of: X509_get_issuer_name(x509))
        self.commonName = Self.commonName(of: X509_get_subject_name(x509))
        self.serial = Self.serial(of: x509)
        self.notBefore = prust_unix_time(X509_get0_notBefore(x509))
        self.notAfter = prust_unix_time(X509_get0_notAfter(x509))
        let names = Self.alternativeNames(of: x509)
        self.uris = names.uris
        self.dnsNames = names.dnsNames
        self.ipAddresses = names.ipAddresses
        self.keyKind = PrivateKey.Kind(key: X509_get0_pubkey(x509))
        self.fingerprint = Self.fingerprint(of: x509)
        self.isAuthority = X509_check_ca(x509) == 1
    }

    private static func text(of name: OpaquePointer?) -> String {
        let bytes = MemoryBIO.written { prust_name_print($0, name) < 0 ? 0 : 1 }
        return String(decoding: bytes ?? [], as: UTF8.self)
    }

    private static func commonName(of name: OpaquePointer?) -> String? {
        let capacity = 1024
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity) { buffer in
            let count = prust_common_name(name, buffer.baseAddress, Int32(capacity))
            guard count >= 0 else { return nil }
            return String(decoding: buffer.prefix(Int(count)), as: UTF8.self)
        }
    }

    private static func serial(of x509: OpaquePointer) -> String {
        guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), nil) else { return "" }
        defer { BN_free(number) }
        guard let digits = BN_bn2hex(number) else { return "" }
        defer { CRYPTO_free(digits, #file, #line) }
        return String(cString: digits).lowercased()
    }

    private static func fingerprint(of x509: OpaquePointer) -> String {
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var count: UInt32 = 0
        guard X509_digest(x509, EVP_sha256(), &digest, &count) == 1 else { return "" }
        return Hex.encode(digest.prefix(Int(count)))
    }

    private struct Names {
        var uris: [String] = []
        var dnsNames: [String] = []
        var ipAddresses: [String] = []
    }

    private static func alternativeNames(of x509: OpaquePointer) -> Names {
        var result = Names()
        guard let names = prust_san_of(x509) else { return result }
        defer { GENERAL_NAMES_free(names) }
        for index in 0..<prust_san_count(names) {
            var start: UnsafePointer<UInt8>?
            var count = 0
            let kind = prust_san_get(names, index, &start, &count)
            guard let start else { continue }
            let bytes = UnsafeBufferPointer(start: start, count: count)
            switch kind {
            case GEN_URI: result.uris.append(String(decoding: bytes, as: UTF8.self))
            case GEN_DNS: result.dnsNames.append(String(decoding: bytes, as: UTF8.self))
            case GEN_IPADD: result.ipAddresses.append(IPAddress.text(of: bytes))
            default: break
            }
        }
        return result
    }
}

/// The certificate that the other side of a connection proved to own.
package typealias PeerCertificate = CertificateDetails

/// IP addresses between their bytes and their text.
enum IPAddress {
    static func text(of bytes: UnsafeBufferPointer<UInt8>) -> String {
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        guard bytes.count == 4 || bytes.count == 16 else { return "?" }
        let capacity = Int(INET6_ADDRSTRLEN)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer in
            guard let start = buffer.baseAddress,
                let text = inet_ntop(family, bytes.baseAddress, start, socklen_t(capacity))
            else { return "?" }
            return String(cString: text)
        }
    }

    /// The 4 or 16 bytes of an address; `nil` when the text is not one.
    static func bytes(of text: String) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 { return [UInt8](bytes.prefix(4)) }
        return inet_pton(AF_INET6, text, &bytes) == 1 ? bytes : nil
    }
}

/// Dates in messages.
enum DateText {
    /// `YYYY-MM-DD` of a moment in UTC, counted with Gregorian eras of 400 years.
    static func day(ofUnixSeconds seconds: Int64) -> String {
        let secondsInDay: Int64 = 86_400
        var days = seconds / secondsInDay
        if seconds % secondsInDay < 0 { days -= 1 }
        // Moves the start to 0000-03-01, so that the leap day is the last of its year.
        days += 719_468
        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shifted + 2) / 5 + 1
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return "\(year)-\(Self.padded(month))-\(Self.padded(day))"
    }

    private static func padded(_ number: Int64) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
