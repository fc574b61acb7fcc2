import PrustCore

/// Records that wait for the log, with copies of their bytes in one arena that is used again.
final class PendingBatch {
    struct Item {
        var keyID: KeyID
        var version: Version
        var expiresAt: Int64
        var writtenAt: UInt64
        var sequence: UInt64
        var offset: Int
        var valueByteCount: Int
        var entry: UInt32
        var stripe: UInt16
        var keyByteCount: UInt16
        var isTombstone: Bool
    }

    /// An arena that grew beyond this is given back after use.
    private static let keptByteCountMax = 8 * 1024 * 1024

    var items: [Item] = []
    private var arena: UnsafeMutableRawPointer
    private var capacity = 64 * 1024
    private(set) var byteCount = 0

    init() {
        self.arena = .allocate(byteCount: self.capacity, alignment: 16)
        self.items.reserveCapacity(256)
    }

    deinit {
        self.arena.deallocate()
    }

    /// Copies the parts of a record to the end of the arena; returns where they begin.
    func copy(
        key: UnsafeRawBufferPointer,
        first: UnsafeRawBufferPointer,
        second: UnsafeRawBufferPointer
    ) -> Int {
        let start = self.byteCount
        let needed = start + key.count + first.count + second.count
        if needed > self.capacity { self.grow(to: needed) }
        self.add(key)
        self.add(first)
        self.add(second)
        return start
    }

    private func add(_ part: UnsafeRawBufferPointer) {
        guard let source = part.baseAddress else { return }
        (self.arena + self.byteCount).copyMemory(from: source, byteCount: part.count)
        self.byteCount += part.count
    }

    func key(of item: Item) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: self.arena + item.offset, count: Int(item.keyByteCount))
    }

    func value(of item: Item) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: self.arena + item.offset + Int(item.keyByteCount),
            count: item.valueByteCount
        )
    }

    func removeAll() {
        self.items.removeAll(keepingCapacity: true)
        self.byteCount = 0
        guard self.capacity > Self.keptByteCountMax else { return }
        self.arena.deallocate()
        self.capacity = 64 * 1024
        self.arena = .allocate(byteCount: self.capacity, alignment: 16)
    }

    private func grow(to needed: Int) {
        let capacity = max(needed, self.capacity * 2)
        let arena = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        arena.copyMemory(from: self.arena, byteCount: self.byteCount)
        self.arena.deallocate()
        self.arena = arena
        self.capacity = capacity
    }
}
