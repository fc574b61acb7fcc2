internal import CZstd
internal import Synchronization

/// Compresses values for one owner, which uses one zstd context again and again.
package final class Compressor {
    /// Values that would save less than this, or less than a sixteenth, stay as they are.
    package static let savingMin = 16

    private let context: OpaquePointer?
    private let level: Int32

    package init(level: Int32) {
        self.level = min(max(level, 1), 19)
        self.context = ZSTD_createCCtx()
    }

    deinit {
        ZSTD_freeCCtx(self.context)
    }

    /// Compresses a value if that pays.
    ///
    /// - Parameters:
    ///   - value: The value.
    ///   - target: Where the result goes; at least as long as the value.
    /// - Returns: The bytes of the result, or `nil` when the value should be stored as it is.
    package func compress(
        _ value: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) -> Int? {
        let capacity = value.count - max(Self.savingMin, value.count / 16)
        guard capacity > 0, target.count >= capacity, !Self.looksRandom(value) else { return nil }
        let result = ZSTD_compressCCtx(
            self.context,
            target.baseAddress,
            capacity,
            value.baseAddress,
            value.count,
            self.level
        )
        // An error is nearly always "does not fit in what would be worth it".
        return ZSTD_isError(result) == 0 ? result : nil
    }

    /// Guesses from a sample that a value is encrypted or compressed already.
    ///
    /// Random bytes give a sum of squared counts near `n + n * n / 256`; text and structures
    /// are at least twice above it. A wrong guess costs space or time, nothing else.
    package static func looksRandom(_ value: UnsafeRawBufferPointer) -> Bool {
        let sampleCount = min(value.count, 512)
        guard sampleCount >= 256 else { return false }
        let step = value.count / sampleCount
        return withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 256) { counts in
            counts.initialize(repeating: 0)
            var squares = 0
            for index in 0..<sampleCount {
                let byte = Int(value[index * step])
                squares += 2 * Int(counts[byte]) + 1
                counts[byte] += 1
            }
            return squares < sampleCount + sampleCount * sampleCount / 176
        }
    }
}

/// Unpacks values on any number of threads, with zstd contexts that are used again and again.
package final class DecompressorPool: Sendable {
    /// A context belongs to the one thread that has taken it from the pool.
    private struct Context: @unchecked Sendable {  // tidy:allow a C handle with one owner at a time
        let handle: OpaquePointer
    }

    /// Contexts that are kept when nobody uses them.
    private static let idleCountMax = 16

    private let idle = Mutex<[Context]>([])

    package init() {}

    deinit {
        for context in self.idle.withLock({ $0 }) { ZSTD_freeDCtx(context.handle) }
    }

    /// Unpacks a value to exactly the size that its header promises.
    ///
    /// - Parameters:
    ///   - stored: One zstd frame.
    ///   - target: Exactly as long as the value must be, so that no bomb can go off.
    /// - Throws: `.decompression` for anything that is not one frame of that size.
    package func decompress(
        _ stored: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) throws(RecordError) {
        let claimed = ZSTD_getFrameContentSize(stored.baseAddress, stored.count)
        guard claimed == UInt64(target.count) else { throw .decompression }
        let known = self.idle.withLock { $0.popLast() }
        guard let context = known ?? ZSTD_createDCtx().map({ Context(handle: $0) }) else {
            throw .decompression
        }
        let result = ZSTD_decompressDCtx(
            context.handle,
            target.baseAddress,
            target.count,
            stored.baseAddress,
            stored.count
        )
        let isKept = self.idle.withLock { idle in
            guard idle.count < Self.idleCountMax else { return false }
            idle.append(context)
            return true
        }
        if !isKept { ZSTD_freeDCtx(context.handle) }
        guard ZSTD_isError(result) == 0, result == target.count else { throw .decompression }
    }
}
