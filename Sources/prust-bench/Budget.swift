import Dispatch
import Synchronization

/// Bounds what is under way: one thread takes, the event loops give back.
final class Budget: Sendable {
    private struct State {
        var itemCount = 0
        var byteCount = 0
        var isWaiting = false
    }

    private let itemCountMax: Int
    private let byteCountMax: Int
    private let state = Mutex(State())
    private let wakeUp = DispatchSemaphore(value: 0)

    init(itemCountMax: Int, byteCountMax: Int) {
        self.itemCountMax = itemCountMax
        self.byteCountMax = byteCountMax
    }

    var itemCount: Int { self.state.withLock { $0.itemCount } }

    /// Takes room for an item, which is always given when nothing else is under way.
    func take(byteCount: Int) -> Bool {
        self.state.withLock { state in
            let fits =
                state.itemCount < self.itemCountMax
                && state.byteCount + byteCount <= self.byteCountMax
            guard fits || state.itemCount == 0 else {
                state.isWaiting = true
                return false
            }
            state.itemCount += 1
            state.byteCount += byteCount
            return true
        }
    }

    /// Waits until something was given back, or for a tenth of a second.
    func wait() {
        self.state.withLock { $0.isWaiting = true }
        _ = self.wakeUp.wait(timeout: .now() + .milliseconds(100))
    }

    func give(itemCount: Int, byteCount: Int) {
        let wakes = self.state.withLock { state in
            state.itemCount -= itemCount
            state.byteCount -= byteCount
            defer { state.isWaiting = false }
            return state.isWaiting
        }
        if wakes { self.wakeUp.signal() }
    }
}
