/// A queue on an array: both ends in constant time on the average, and no trap when it is empty.
struct Fifo<Element> {
    private var elements: [Element?] = []
    private var head = 0

    var count: Int { self.elements.count - self.head }
    var isEmpty: Bool { self.elements.count == self.head }
    var first: Element? { self.isEmpty ? nil : self.elements[self.head] }

    mutating func append(_ element: Element) {
        self.elements.append(element)
    }

    mutating func popFirst() -> Element? {
        guard !self.isEmpty else { return nil }
        let element = self.elements[self.head]
        self.elements[self.head] = nil
        self.head += 1
        if self.isEmpty {
            self.elements.removeAll(keepingCapacity: self.elements.count <= 1_024)
            self.head = 0
        } else if self.head > 64, self.head * 2 > self.elements.count {
            self.elements.removeFirst(self.head)
            self.head = 0
        }
        return element
    }

    mutating func removeAll(where isRemoved: (Element) -> Bool) {
        var kept: [Element?] = []
        for case let element? in self.elements[self.head...] where !isRemoved(element) {
            kept.append(element)
        }
        self.elements = kept
        self.head = 0
    }
}

extension Fifo: Sequence {
    /// Goes through the elements, oldest first.
    struct Iterator: IteratorProtocol {
        fileprivate var rest: ArraySlice<Element?>

        mutating func next() -> Element? { self.rest.popFirst() ?? nil }
    }

    func makeIterator() -> Iterator { Iterator(rest: self.elements[self.head...]) }
}

extension Fifo: Sendable where Element: Sendable {}
