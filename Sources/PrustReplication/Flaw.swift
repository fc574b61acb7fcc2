/// A rule that is broken on purpose, so that the checkers can show that they find it.
///
/// Each case names what PROTOCOL.md forbids; the product runs with `none`.
package enum Flaw: String, CaseIterable, Sendable {
    case none
    case freshTimeForRMW
    case storeWithoutPromiseCheck
    case recomputesOwnAttempt
    case noConfirm
    case confirmBeforeArrival
    case failingCompareWithoutConfirm
    case fastPathWithOldTerm
    case noWriteBackOnMixedAnswers
    case keepsKnownAcrossBallots
    case acceptAckedBeforeDurable
    case answersBeforePromiseDurable
    case acceptIgnoresPromise
    case readIgnoresPromise
    case retriesAfterLosingBallot
    case buildsOnRecordAboveBallot
    case versionUsedTwice
    case setAndQuorumWriteShareWriter
    case quorumReadFromOneMember
    case originSendsBeforeOwnStore
    case acceptedDescriptorTakenForLearned
    case noDescriptorRecovery
    case quorumLevelWithoutEpochCheck
    case finalizesWithoutReconciling
    case reconcilesWithOneMember
    case jointWithMembersOnly
    case jointWithNextOnly
    case goesOnAfterUnresolved
    case ballotUsedAgain
}
