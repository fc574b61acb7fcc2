import PrustCore
import Synchronization

/// Counts connections, all of them and those of one network, and says when one is too many.
package final class ConnectionLimiter: Sendable {
    private struct State {
        var total = 0
        var byNetwork: [String: Int] = [:]
    }

    /// Connections of `metrics.listen` and of the admin socket: those who may use them need few,
    /// and the files of the process are for clients.
    package static let probeCountMax = 64
    package static let adminSocketCountMax = 64

    private let countMax: Int
    private let countPerAddressMax: Int
    private let state = Mutex(State())

    /// A maximum of 0 means none.
    ///
    /// - Parameters:
    ///   - countMax: Of all connections.
    ///   - countPerAddressMax: Of those from one IPv4 address or one /64 of IPv6.
    package init(countMax: Int, countPerAddressMax: Int) {
        self.countMax = countMax
        self.countPerAddressMax = countPerAddressMax
    }

    /// Admits a connection, which must be given back by ``release(_:)``, or says why not.
    package func admit(_ address: String) -> ConnectionMetrics.Rejection? {
        let network = NetworkName.of(address)
        return self.state.withLock { state in
            if self.countMax > 0, state.total >= self.countMax { return .limit }
            let count = state.byNetwork[network] ?? 0
            if self.countPerAddressMax > 0, count >= self.countPerAddressMax { return .perAddress }
            state.total += 1
            state.byNetwork[network] = count + 1
            return nil
        }
    }

    package func release(_ address: String) {
        let network = NetworkName.of(address)
        self.state.withLock { state in
            state.total -= 1
            let count = (state.byNetwork[network] ?? 1) - 1
            state.byNetwork[network] = count == 0 ? nil : count
        }
    }

    package var count: Int { self.state.withLock { $0.total } }
}
