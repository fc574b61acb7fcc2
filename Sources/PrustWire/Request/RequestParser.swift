import PrustCore

/// Reads commands as a Redis server does: arrays of bulk strings, or lines of words.
///
/// The parser is handed the bytes from the start of the unread command on, again and again as more
/// arrive, and remembers how far it got, so that a long command is not read twice. Error texts are
/// those of Redis 7; after an error the connection must be closed.
package struct RequestParser {
    package enum Result: Equatable, Sendable {
        /// The command is not complete.
        case needsMore
        /// A command of this many bytes; its arguments are in ``places``. None of them: ignore it.
        case command(byteCount: Int)
        /// The text of the error, each character standing for one byte.
        case failed(String)
    }

    /// What a client that has not logged in may send, as in Redis.
    package enum Trust: Sendable {
        case untrusted
        case trusted
    }

    private enum State {
        case start
        case arguments(remaining: Int)
        case bulk(remaining: Int, byteCount: Int)
    }

    private var state = State.start
    /// How many bytes of the command are behind us.
    private var position = 0
    /// Bytes that were searched in vain for the end of a line.
    private var searched = 0
    private var total = 0
    private let argumentCountMax: Int
    /// Where the arguments are: in the bytes handed in or, if `isInScratch`, in ``scratch``.
    private(set) package var places: [RequestArguments.Place] = []
    private(set) package var scratch: [UInt8] = []
    private(set) package var isInScratch = false

    package init(argumentCountMax: Int = Limits.argumentCountMax) {
        self.argumentCountMax = argumentCountMax
        self.places.reserveCapacity(16)
    }

    /// Bytes that the command is known to need before it can be complete, as a hint for buffers.
    package var neededByteCount: Int {
        if case .bulk(_, let byteCount) = self.state { return self.position + byteCount + 2 }
        return self.position + 1
    }

    /// Goes on with the command that begins at the start of `bytes`.
    package mutating func next(_ bytes: UnsafeRawBufferPointer, trust: Trust) -> Result {
        while true {
            switch self.state {
            case .start:
                guard let first = bytes.first else { return .needsMore }
                if first != UInt8(ascii: "*") { return self.inline(bytes) }
                self.position = 1
                switch self.line(bytes, tooLong: "too big mbulk count string") {
                case .needsMore:
                    self.position = 0
                    return .needsMore
                case .failed(let text): return .failed(text)
                case .line(let start, let end):
                    if let result = self.begin(bytes[start..<end], trust: trust) { return result }
                }
            case .arguments(let remaining):
                if remaining == 0 { return self.finish(byteCount: self.position) }
                if let result = self.bulkHeader(bytes, remaining: remaining, trust: trust) {
                    return result
                }
            case .bulk(let remaining, let byteCount):
                guard bytes.count - self.position >= byteCount + 2 else { return .needsMore }
                self.places.append(
                    .init(offset: UInt32(self.position), byteCount: UInt32(byteCount))
                )
                self.position += byteCount + 2
                self.state = .arguments(remaining: remaining - 1)
            }
        }
    }

    // MARK: Arrays

    private mutating func begin(
        _ digits: Slice<UnsafeRawBufferPointer>,
        trust: Trust
    ) -> Result? {
        self.places.removeAll(keepingCapacity: true)
        self.isInScratch = false
        self.total = 0
        guard let count = DecimalInteger.parse(digits), count <= Int64(Int32.max) else {
            return .failed("Protocol error: invalid multibulk length")
        }
        if count > 10, trust == .untrusted {
            return .failed("Protocol error: unauthenticated multibulk length")
        }
        guard count <= self.argumentCountMax else {
            return .failed(self.tooManyArguments(Int(count)))
        }
        self.state = .arguments(remaining: Int(max(count, 0)))
        return nil
    }

    private func tooManyArguments(_ count: Int) -> String {
        "Protocol error: \(count) arguments exceed limits.arguments (\(self.argumentCountMax))"
    }

    private mutating func bulkHeader(
        _ bytes: UnsafeRawBufferPointer,
        remaining: Int,
        trust: Trust
    ) -> Result? {
        guard self.position < bytes.count else { return .needsMore }
        let mark = self.position
        switch self.line(bytes, tooLong: "too big bulk count string") {
        case .needsMore: return .needsMore
        case .failed(let text): return .failed(text)
        case .line(let start, let end):
            guard bytes[mark] == UInt8(ascii: "$") else {
                let found = Character(UnicodeScalar(bytes[mark]))
                return .failed("Protocol error: expected '$', got '\(found)'")
            }
            guard let length = DecimalInteger.parse(bytes[(start + 1)..<end]),
                length >= 0, length <= 512 * 1024 * 1024
            else { return .failed("Protocol error: invalid bulk length") }
            if length > 16_384, trust == .untrusted {
                return .failed("Protocol error: unauthenticated bulk length")
            }
            self.total += Int(length)
            guard self.total <= Limits.commandByteCountMax else {
                return .failed(
                    "Protocol error: the command exceeds the limit command-bytes"
                        + " (\(Limits.commandByteCountMax))"
                )
            }
            self.state = .bulk(remaining: remaining, byteCount: Int(length))
            return nil
        }
    }

    private enum Line {
        case needsMore
        /// The text of the error, each character standing for one byte.
        case failed(String)
        case line(Int, Int)
    }

    /// Finds the end of the line at `position` and steps over it.
    private mutating func line(_ bytes: UnsafeRawBufferPointer, tooLong: String) -> Line {
        var index = max(self.position, self.searched)
        while index < bytes.count, bytes[index] != UInt8(ascii: "\r") { index += 1 }
        guard index < bytes.count else {
            if bytes.count - self.position > Limits.inlineByteCountMax {
                return .failed("Protocol error: \(tooLong)")
            }
            self.searched = index
            return .needsMore
        }
        // Like Redis, only the carriage return is looked for; what follows it is skipped unseen.
        guard index + 1 < bytes.count else {
            self.searched = index
            return .needsMore
        }
        let start = self.position
        self.position = index + 2
        self.searched = 0
        return .line(start, index)
    }

    private mutating func finish(byteCount: Int) -> Result {
        self.state = .start
        self.position = 0
        self.searched = 0
        return .command(byteCount: byteCount)
    }

    // MARK: Lines of words

    private mutating func inline(_ bytes: UnsafeRawBufferPointer) -> Result {
        var index = self.searched
        let end = min(bytes.count, Limits.inlineByteCountMax + 1)
        while index < end, bytes[index] != UInt8(ascii: "\n") { index += 1 }
        guard index < end else {
            self.searched = index
            return bytes.count > Limits.inlineByteCountMax
                ? .failed("Protocol error: too big inline request") : .needsMore
        }
        let hasReturn = index > 0 && bytes[index - 1] == UInt8(ascii: "\r")
        let line = UnsafeRawBufferPointer(rebasing: bytes[..<(hasReturn ? index - 1 : index)])
        self.places.removeAll(keepingCapacity: true)
        self.scratch.removeAll(keepingCapacity: true)
        self.isInScratch = true
        guard InlineWords.split(line, into: &self.scratch, places: &self.places) else {
            return .failed("Protocol error: unbalanced quotes in request")
        }
        guard self.places.count <= self.argumentCountMax else {
            return .failed(self.tooManyArguments(self.places.count))
        }
        return self.finish(byteCount: index + 1)
    }
}
