/// Every target by the name that its program, its corpus and `scripts/fuzz` have.
package enum FuzzTarget: String, CaseIterable {
    case requestParser = "request-parser"
    case glob
    case replyParser = "reply-parser"
    case record
    case recovery
    case settings
    case access
    case admin
    case certificate

    package func run(_ bytes: UnsafeRawBufferPointer) {
        switch self {
        case .requestParser: fuzzRequestParser(bytes)
        case .glob: fuzzGlob(bytes)
        case .replyParser: fuzzReplyParser(bytes)
        case .record: fuzzRecord(bytes)
        case .recovery: fuzzRecovery(bytes)
        case .settings: fuzzSettings(bytes)
        case .access: fuzzAccess(bytes)
        case .admin: fuzzAdmin(bytes)
        case .certificate: fuzzCertificate(bytes)
        }
    }
}
