package import PrustStorage
import Synchronization

/// What metrics and reports ask of the engine.
extension Engine {
    package var logCounters: LogCounters { self.shared.withLock { $0.counters } }

    /// Number of the active segment, which is their count: segments are not removed yet.
    package var segmentCount: Int {
        self.shared.withLock { Int($0.assigned.position.segment) }
    }

    /// Bytes of segments and index.
    package var storedByteCount: Int {
        let position = self.shared.withLock { $0.assigned.position }
        let sealed = max(Int(position.segment) - 1, 0) * Int(self.options.storage.segmentByteCount)
        let index = Int(clamping: self.storage?.index.byteCount ?? 0)
        return sealed + Int(position.offset) + index
    }

    package var recoverySeconds: Double {
        Double(self.recoveryNanoseconds.load(ordering: .relaxed)) / 1e9
    }
}
