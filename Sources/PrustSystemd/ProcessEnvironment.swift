import Glibc

/// The environment that the service manager gave to this process.
///
/// Nothing here changes the environment after start, so reading it from any thread is safe.
package enum ProcessEnvironment {
    /// The value of a variable; an empty one counts as not set.
    package static func value(_ name: String) -> String? {
        guard let pointer = getenv(name) else { return nil }
        let value = String(cString: pointer)
        return value.isEmpty ? nil : value
    }
}
