import NIOCore
private import PrustCore
import PrustWire
private import Synchronization

typealias CallResult = Result<RESPValue, ClientError>

/// One command on its way: the bytes, the task that waits, and what is known about its outcome.
///
/// It ends exactly once, by the first of: its reply, its deadline, cancellation, a lost connection.
/// What ends it later is ignored.
final class Call: Sendable {
    /// What becomes of a call whose connection is lost.
    enum AfterLoss {
        case ended
        /// It was not sent, or may be repeated: it goes to another connection.
        case resubmit
    }

    private struct State {
        var continuation: CheckedContinuation<CallResult, Never>?
        var result: CallResult?
        var isSent = false
        var sentCount = 0
    }

    let id: UInt64
    let command: Command
    let deadline: NIODeadline
    private let state = Mutex(State())

    init(id: UInt64, command: Command, deadline: NIODeadline) {
        self.id = id
        self.command = command
        self.deadline = deadline
    }

    var isEnded: Bool { self.state.withLock { $0.result != nil } }

    /// Hands over the waiting task, which is resumed at once if the call has ended already.
    func install(_ continuation: CheckedContinuation<CallResult, Never>) {
        let result = self.state.withLock { state -> CallResult? in
            if state.result == nil { state.continuation = continuation }
            return state.result
        }
        if let result { continuation.resume(returning: result) }
    }

    /// Says that the bytes are about to be written; `false` when the call has ended already.
    func beginSending() -> Bool {
        self.state.withLock { state in
            guard state.result == nil else { return false }
            state.isSent = true
            state.sentCount += 1
            return true
        }
    }

    func succeed(_ value: RESPValue) {
        self.end { _ in .success(value) }
    }

    /// Ends the call with an error whose outcome follows from how far the call got.
    func fail(_ error: ClientError) {
        self.end { state in
            let isUnknown = state.isSent && self.command.isWrite
            return .failure(isUnknown ? error.with(outcome: .unknown) : error)
        }
    }

    /// Says that the connection that carried the call is lost.
    ///
    /// A write that was sent ends as unknown: the server may have done it, and doing it twice is
    /// not ours to risk. A read has nothing to lose but time.
    func connectionLost(_ error: ClientError, sentCountMax: Int) -> AfterLoss {
        let resubmits = self.state.withLock { state in
            guard state.result == nil else { return false }
            guard state.isSent else { return true }
            guard !self.command.isWrite, state.sentCount < sentCountMax else { return false }
            state.isSent = false
            return true
        }
        if resubmits { return .resubmit }
        self.fail(error)
        return .ended
    }

    private func end(_ result: (State) -> CallResult) {
        let resumption = self.state.withLock {
            state -> (CheckedContinuation<CallResult, Never>, CallResult)? in
            guard state.result == nil else { return nil }
            let value = result(state)
            state.result = value
            guard let continuation = state.continuation else { return nil }
            state.continuation = nil
            return (continuation, value)
        }
        if let (continuation, value) = resumption { continuation.resume(returning: value) }
    }
}
