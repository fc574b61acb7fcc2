/// Why a node could not be founded; nothing has to be cleaned up unless the message says so.
package struct FoundingError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// Another process works in the directory.
        case inUse = "in-use"
        /// Files are there that do not fit together.
        case conflict
        /// The system refused a file operation.
        case file
        /// A certificate or key could not be made or read.
        case certificate
        case invalid
        case notFounded = "not-founded"
    }

    package var code: Code
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { self.message }
}
