import NIOCore
import PrustCore

/// A command that has to wait gives way to others on the same executor.
extension CommandExecutor {
    package struct Suspension {
        /// Bytes of the reply that are written already.
        var partialByteCount = 0
        var progress = 0
        var tally: Int64 = 0
        var dependsOn: UInt64 = 0
        var didWrite = false
        var writeCount = 0
        var firstGeneration: UInt64 = 0
    }

    func suspend() -> Suspension {
        Suspension(
            partialByteCount: self.out.writerIndex - self.replyStart,
            progress: self.progress,
            tally: self.tally,
            dependsOn: self.dependsOn,
            didWrite: self.didWrite,
            writeCount: self.writeCount,
            firstGeneration: self.firstGeneration
        )
    }

    func resume(_ suspension: Suspension) {
        self.replyStart = self.out.writerIndex - suspension.partialByteCount
        self.progress = suspension.progress
        self.tally = suspension.tally
        self.dependsOn = suspension.dependsOn
        self.didWrite = suspension.didWrite
        self.writeCount = suspension.writeCount
        self.firstGeneration = suspension.firstGeneration
        self.wasCached = false
    }
}
