/// What happens when, in virtual time; events of one moment come in the order they were added.
struct EventQueue<Event> {
    private struct Entry {
        var time: Int64
        var number: UInt64
        var event: Event

        func isBefore(_ other: Entry) -> Bool {
            self.time != other.time ? self.time < other.time : self.number < other.number
        }
    }

    private var heap: [Entry] = []
    private var lastNumber: UInt64 = 0

    var nextTime: Int64? { self.heap.first?.time }
    var count: Int { self.heap.count }

    mutating func add(_ event: Event, at time: Int64) {
        self.lastNumber += 1
        self.heap.append(Entry(time: time, number: self.lastNumber, event: event))
        var child = self.heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard self.heap[child].isBefore(self.heap[parent]) else { return }
            self.heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func take() -> Event? {
        guard let first = self.heap.first, let last = self.heap.popLast() else { return nil }
        guard !self.heap.isEmpty else { return first.event }
        self.heap[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < self.heap.count else { break }
            if child + 1 < self.heap.count, self.heap[child + 1].isBefore(self.heap[child]) {
                child += 1
            }
            guard self.heap[child].isBefore(self.heap[parent]) else { break }
            self.heap.swapAt(child, parent)
            parent = child
        }
        return first.event
    }
}
