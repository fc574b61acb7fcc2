import Glibc

/// The credentials that the service manager passes to the unit (`LoadCredential=`).
///
/// They are files, in a directory that only this service can read. A credential takes the place of a
/// file of the data directory, so that a key can stay in a TPM-sealed or encrypted file.
package struct Credentials: Sendable {
    /// Bytes of a credential's name: it is a file name.
    package static let nameByteCountMax = 255

    private let directory: String?

    /// Takes the directory from `$CREDENTIALS_DIRECTORY`.
    package init() {
        self.init(directory: ProcessEnvironment.value("CREDENTIALS_DIRECTORY"))
    }

    /// Takes a directory; `nil` stands for a unit without credentials.
    package init(directory: String?) {
        self.directory = directory
    }

    /// The path of a credential, or `nil` when the unit does not pass it.
    ///
    /// The name is that of `LoadCredential=name:path`; one that is no file name is refused, and so is
    /// a directory that is relative.
    package func path(for name: String) throws(CredentialError) -> String? {
        guard Self.isValid(name) else { throw .badName(name) }
        guard let directory = self.directory else { return nil }
        guard directory.hasPrefix("/") else { throw .relativeDirectory(directory) }
        let path = directory.hasSuffix("/") ? directory + name : "\(directory)/\(name)"
        return access(path, F_OK) == 0 ? path : nil
    }

    private static func isValid(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= Self.nameByteCountMax, name != ".", name != ".."
        else { return false }
        return name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }
    }
}

/// Why a credential cannot be looked up.
package enum CredentialError: Error, Equatable, Sendable, CustomStringConvertible {
    case badName(String)
    case relativeDirectory(String)

    package var description: String {
        switch self {
        case .badName(let name):
            "\"\(LogText.escape(name))\" is no credential's name: expected 1 to "
                + "\(Credentials.nameByteCountMax) printable ASCII characters without \"/\""
        case .relativeDirectory(let directory):
            "CREDENTIALS_DIRECTORY is \"\(LogText.escape(directory))\"; expected an absolute path"
        }
    }
}
