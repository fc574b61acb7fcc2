/// The keys of the database, page by page.
///
/// Every key that exists during the whole scan comes at least once; a key that comes or goes
/// meanwhile may come or not. Memory is bounded by one page. Each iterator is a scan of its own.
public struct ScanSequence: AsyncSequence, Sendable {
    /// A key.
    public typealias Element = [UInt8]
    /// What a page that could not be read throws.
    public typealias Failure = ClientError

    let client: Client
    let pattern: [UInt8]?
    let pageKeyCount: Int
    let deadline: Duration?

    /// Where one scan stands.
    public struct AsyncIterator: AsyncIteratorProtocol {
        /// A key.
        public typealias Element = [UInt8]
        /// What a page that could not be read throws.
        public typealias Failure = ClientError

        private static let start = Array("0".utf8)

        private let sequence: ScanSequence
        private var cursor = Self.start
        private var page: [[UInt8]] = []
        private var isLastPage = false

        init(sequence: ScanSequence) {
            self.sequence = sequence
        }

        /// The next key, or `nil` at the end; after an error, the same page is asked for again.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(ClientError) -> [UInt8]? {
            while self.page.isEmpty {
                guard !self.isLastPage else { return nil }
                let page = try await self.sequence.page(after: self.cursor)
                self.cursor = page.cursor
                self.isLastPage = page.cursor == Self.start
                self.page = page.keys.reversed()
            }
            return self.page.popLast()
        }
    }

    /// Begins a scan.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(sequence: self)
    }

    fileprivate func page(
        after cursor: [UInt8]
    ) async throws(ClientError) -> (cursor: [UInt8], keys: [[UInt8]]) {
        var builder = CommandBuilder(
            "SCAN",
            argumentCount: self.pattern == nil ? 3 : 5,
            isWrite: false,
            byteCount: self.pattern?.count ?? 0
        )
        builder.add(cursor)
        if let pattern = self.pattern {
            builder.add(word: "MATCH")
            builder.add(pattern)
        }
        builder.add(word: "COUNT")
        builder.add(number: Int64(self.pageKeyCount))
        return try await self.client.perform(builder, deadline: self.deadline).page()
    }
}

extension Client {
    /// Goes through the keys of the database.
    ///
    /// - Parameters:
    ///   - pattern: Only keys that match it: `*`, `?` and `[a-z]` as in a shell, `\` before a
    ///     letter that means itself.
    ///   - count: Keys that the server looks at for one page, 1 to 100,000.
    ///   - deadline: How long each page may take; the configuration's by default.
    /// - Returns: The keys, in no particular order.
    public func scan(
        match pattern: String? = nil,
        count: Int = 1_000,
        deadline: Duration? = nil
    ) -> ScanSequence {
        ScanSequence(
            client: self,
            pattern: pattern.map { Array($0.utf8) },
            pageKeyCount: min(max(count, 1), 100_000),
            deadline: deadline
        )
    }
}
