import PrustCore

/// Why a change of users and roles was refused, or their file could not be used.
package struct AccessError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, CaseIterable, Sendable {
        case notFound = "not-found"
        case exists
        case lastAdmin = "last-admin"
        case invalid
        case tooMany = "too-many"
        case inUse = "in-use"
        case builtIn = "built-in"
        /// The file on disk.
        case storage
    }

    package var code: Code
    /// One line that says what to do.
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message.printable
    }

    package var description: String { self.message }
}
