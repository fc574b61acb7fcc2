import FoundationEssentials

extension ProcessVariables {
    /// Every variable of the process.
    package static func all() -> [String: String] {
        ProcessInfo.processInfo.environment
    }
}
