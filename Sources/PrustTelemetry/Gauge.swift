package import Synchronization

/// A number that goes up and down, such as open connections.
package final class Gauge: Sendable {
    @usableFromInline let cell = Atomic<Int64>(0)

    package init() {}

    /// Adds, or takes away when `amount` is negative.
    @inlinable
    package func add(_ amount: Int64) {
        self.cell.wrappingAdd(amount, ordering: .relaxed)
    }

    @inlinable
    package func set(_ value: Int64) {
        self.cell.store(value, ordering: .relaxed)
    }

    @inlinable
    package var value: Int64 {
        self.cell.load(ordering: .relaxed)
    }
}
