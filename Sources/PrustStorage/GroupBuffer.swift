/// The bytes of the open group, in memory that is used again and again.
final class GroupBuffer {
    /// What the buffer keeps between groups; more is given back.
    private static let keptByteCount = 1024 * 1024

    private var memory: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init() {
        self.memory = .allocate(byteCount: Self.keptByteCount, alignment: 16)
    }

    deinit {
        self.memory.deallocate()
    }

    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(self.memory)[..<self.count])
    }

    /// Memory behind the group's end; valid until the next call of any method.
    func room(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
        let needed = self.count + byteCount
        if needed > self.memory.count {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(needed, self.memory.count * 2),
                alignment: 16
            )
            larger.copyMemory(from: self.bytes)
            self.memory.deallocate()
            self.memory = larger
        }
        return UnsafeMutableRawBufferPointer(rebasing: self.memory[self.count..<needed])
    }

    /// Makes the first bytes of ``room(_:)`` part of the group.
    func take(_ byteCount: Int) {
        precondition(byteCount <= self.memory.count - self.count, "more taken than there is room")
        self.count += byteCount
    }

    func removeAll() {
        self.count = 0
        if self.memory.count > 8 * Self.keptByteCount {
            self.memory.deallocate()
            self.memory = .allocate(byteCount: Self.keptByteCount, alignment: 16)
        }
    }
}
