import Glibc
import PrustCore
import PrustTLS

/// The credentials that the profile of a client names.
package struct ClientProfile: Equatable, Sendable {
    package var authority: String
    package var certificate: String
    package var key: String

    package init(authority: String, certificate: String, key: String) {
        self.authority = authority
        self.certificate = certificate
        self.key = key
    }

    /// Reads a profile.
    ///
    /// - Parameters:
    ///   - bytes: The file.
    ///   - name: Its path, for messages.
    /// - Throws: ``SettingsError``.
    package init(bytes: [UInt8], name: String) throws(SettingsError) {
        let text = SettingsText(bytes: bytes)
        var values: [String: String] = [:]
        for entry in text.entries {
            if case .scalar(let value) = entry.content { values[entry.name] = value }
        }
        var problems = text.problems.map {
            SettingsProblem(source: name, line: $0.line, found: $0.found, expected: $0.expected)
        }
        for field in ["ca", "cert", "key"] where values[field] == nil {
            problems.append(
                SettingsProblem(source: name, field: field, found: "nothing", expected: "a path")
            )
        }
        guard problems.isEmpty, let authority = values["ca"], let certificate = values["cert"],
            let key = values["key"]
        else { throw SettingsError(problems: problems) }
        self.init(authority: authority, certificate: certificate, key: key)
    }

    /// `$PRUSTDB_PROFILE`, else the file in the home directory.
    package static func defaultPath() -> String? {
        if let path = ProcessVariables.value("PRUSTDB_PROFILE") { return path }
        return ProcessVariables.value("HOME").map { $0 + "/.config/prustdb/client.yaml" }
    }

    /// Where a founding puts the first client's credentials when nothing is said.
    package static func defaultDirectory() -> String? {
        ProcessVariables.value("HOME").map { $0 + "/.config/prustdb" }
    }
}

/// The environment of this process.
package enum ProcessVariables {
    /// `nil` also for a variable that is empty.
    package static func value(_ name: String) -> String? {
        guard let pointer = getenv(name) else { return nil }
        let text = String(cString: pointer)
        return text.isEmpty ? nil : text
    }
}

/// Small files that people write: settings, profiles, passwords, certificate requests.
package enum TextFile {
    /// Reads at most ``PrustCore/Limits/settingsByteCountMax`` bytes.
    package static func read(_ path: String) throws(FoundingError) -> [UInt8] {
        do throws(TLSError) {
            return try PrivateFile.read(path: path, byteCountMax: Limits.settingsByteCountMax)
        } catch {
            throw FoundingError(.file, error.message)
        }
    }

    /// Replaces a file in one step and keeps its permissions and owner.
    package static func replace(_ path: String, with bytes: [UInt8]) throws(FoundingError) {
        var status = stat()
        let isThere = stat(path, &status) == 0
        do throws(TLSError) {
            let mode = isThere ? status.st_mode & 0o777 : 0o644
            try PrivateFile.write(bytes, path: path, mode: mode)
        } catch {
            throw FoundingError(.file, error.message)
        }
        if isThere, geteuid() == 0, lchown(path, status.st_uid, status.st_gid) != 0 {
            throw FileFault.error("cannot keep the owner", path)
        }
    }
}
