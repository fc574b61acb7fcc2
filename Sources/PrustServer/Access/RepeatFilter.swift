package import PrustCore

/// Says which of the events that anyone can repeat are written one by one, and counts the rest.
///
/// Of equal events (one kind, from one source) the first ones of a minute are written. Kinds are
/// bounded, those of one source and all together: beyond that events are counted by source, and
/// beyond that all in one. So nobody can flood a log, and no source can use up what others need.
/// Pure: `now` comes in. Invariant: at most `kindCountMax` windows, and one for the rest.
package struct RepeatFilter<Kind: Hashable & Sendable>: Sendable {
    /// What is counted together.
    package enum Group: Hashable, Sendable {
        case kind(Kind, source: String)
        /// What comes from a source beyond its bound of kinds.
        case source(String)
        /// What comes beyond the bound of all kinds.
        case rest
    }

    private struct Window {
        let endsAt: MonotonicInstant
        var count = 0
    }

    package static var windowNanoseconds: Int64 { 60_000_000_000 }

    private let burstCountMax: Int
    private let kindCountMax: Int
    private let kindPerSourceCountMax: Int
    private var windows: [Group: Window] = [:]
    /// The groups of all windows, in the order in which they end.
    private var order: [Group] = []
    private var kindCounts: [String: Int] = [:]

    /// - Parameters:
    ///   - burstCountMax: Events of one kind that are written in one window.
    ///   - kindCountMax: Kinds that are told apart at one time.
    ///   - kindPerSourceCountMax: Those of one source.
    package init(burstCountMax: Int, kindCountMax: Int, kindPerSourceCountMax: Int) {
        self.burstCountMax = burstCountMax
        self.kindCountMax = kindCountMax
        self.kindPerSourceCountMax = kindPerSourceCountMax
    }

    /// Windows that are open.
    package var windowCount: Int { self.windows.count }

    /// Counts an event; answers whether it is to be written.
    package mutating func isWritten(
        _ kind: Kind,
        from source: String,
        now: MonotonicInstant
    ) -> Bool {
        let group = self.group(of: kind, source)
        if self.windows[group] == nil { self.open(group, now) }
        let count = (self.windows[group]?.count ?? 0) + 1
        self.windows[group]?.count = count
        return count <= self.burstCountMax(of: group)
    }

    /// Ends the windows that are over.
    ///
    /// - Parameters:
    ///   - now: Monotonic time.
    ///   - all: Whether to end those too that are not over.
    /// - Returns: How many events there were that were not written, where there were some.
    package mutating func takeRepeated(
        now: MonotonicInstant,
        all: Bool = false
    ) -> [(group: Group, count: Int)] {
        var repeated: [(group: Group, count: Int)] = []
        var endedCount = 0
        for group in self.order {
            guard let window = self.windows[group], all || window.endsAt <= now else { break }
            self.close(group)
            endedCount += 1
            let count = window.count - self.burstCountMax(of: group)
            if count > 0 { repeated.append((group, count)) }
        }
        self.order.removeFirst(endedCount)
        return repeated
    }

    private func burstCountMax(of group: Group) -> Int {
        switch group {
        case .kind: self.burstCountMax
        case .source, .rest: 0
        }
    }

    private func group(of kind: Kind, _ source: String) -> Group {
        let own = Group.kind(kind, source: source)
        guard self.windows[own] == nil else { return own }
        let hasRoom = self.windows.count < self.kindCountMax
        if hasRoom, (self.kindCounts[source] ?? 0) < self.kindPerSourceCountMax { return own }
        let shared = Group.source(source)
        return hasRoom || self.windows[shared] != nil ? shared : .rest
    }

    private mutating func open(_ group: Group, _ now: MonotonicInstant) {
        let end = MonotonicInstant(nanoseconds: now.nanoseconds + Self.windowNanoseconds)
        self.windows[group] = Window(endsAt: end)
        self.order.append(group)
        if case .kind(_, let source) = group { self.kindCounts[source, default: 0] += 1 }
    }

    private mutating func close(_ group: Group) {
        self.windows[group] = nil
        guard case .kind(_, let source) = group, let count = self.kindCounts[source] else { return }
        self.kindCounts[source] = count > 1 ? count - 1 : nil
    }
}
