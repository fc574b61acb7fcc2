package import PrustCore
package import PrustReplication

/// What clients asked for and what they were told, in the order of the calls.
package struct History: Sendable {
    package enum Result: Hashable, Sendable {
        /// No answer yet, or none that tells.
        case unknown
        case notApplied
        case read(Int64?, Version)
        case written(Version)
        case applied(SimulatedFunction.Answer, Version)
    }

    package struct Entry: Sendable {
        package var key: Int
        package var level: Level
        package var kind: Operation<SimulatedFunction>.Kind
        package var calledAt: Int64
        package var returnedAt: Int64?
        package var result = Result.unknown
    }

    package private(set) var entries: [Entry] = []

    package init() {}

    /// Notes a call.
    ///
    /// - Returns: The number to note the return with.
    package mutating func call(_ entry: Entry) -> Int {
        self.entries.append(entry)
        return self.entries.count - 1
    }

    /// Notes the first return of a call; later ones change nothing.
    package mutating func finish(_ index: Int, _ result: Result, at time: Int64) {
        guard self.entries[index].returnedAt == nil else { return }
        self.entries[index].returnedAt = time
        self.entries[index].result = result
    }
}
