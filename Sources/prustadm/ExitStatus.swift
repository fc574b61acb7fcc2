import PrustServer

/// The exit codes that scripts rely on.
enum ExitStatus: Int32 {
    case done = 0
    case failed = 1
    case usage = 2
    case cannotReach = 3
    case notAllowed = 4
    case needsConfirmation = 5
    case unknownOutcome = 6

    /// `nil` for what the argument parser throws.
    static func of(_ error: any Error) -> ExitStatus? {
        switch error {
        case let failure as CommandFailure: failure.status
        case let failure as AdminClient.Failure:
            switch failure.kind {
            case .cannotReach: .cannotReach
            case .notAllowed: .notAllowed
            case .refused: .failed
            case .unknownOutcome: .unknownOutcome
            }
        case is SettingsError, is FoundingError, is AccessError: .failed
        default: nil
        }
    }
}

/// Why a command stopped before it asked a node.
struct CommandFailure: Error, CustomStringConvertible {
    var status: ExitStatus
    var description: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.description = message
    }
}
