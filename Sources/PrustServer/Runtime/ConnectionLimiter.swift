import PrustCore
import Synchronization

/// Counts connections, all of them and those of one address, and says when one is too many.
package final class ConnectionLimiter: Sendable {
    private struct State {
        var total = 0
        var byAddress: [String: Int] = [:]
    }

    private let countMax: Int
    private let countPerAddressMax: Int
    private let state = Mutex(State())

    /// A maximum of 0 means none.
    package init(countMax: Int, countPerAddressMax: Int) {
        self.countMax = countMax
        self.countPerAddressMax = countPerAddressMax
    }

    /// Admits a connection, which must be given back by ``release(_:)``, or says why not.
    package func admit(_ address: String) -> ConnectionMetrics.Rejection? {
        self.state.withLock { state in
            if self.countMax > 0, state.total >= self.countMax { return .limit }
            let count = state.byAddress[address] ?? 0
            if self.countPerAddressMax > 0, count >= self.countPerAddressMax { return .perAddress }
            state.total += 1
            state.byAddress[address] = count + 1
            return nil
        }
    }

    package func release(_ address: String) {
        self.state.withLock { state in
            state.total -= 1
            let count = (state.byAddress[address] ?? 1) - 1
            state.byAddress[address] = count == 0 ? nil : count
        }
    }

    package var count: Int { self.state.withLock { $0.total } }
}
