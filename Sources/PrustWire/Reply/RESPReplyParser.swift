package import NIOCore
private import PrustCore

/// Cuts a stream of bytes from a server into RESP2 and RESP3 replies.
///
/// The server is not trusted: whatever it sends gives a value or a typed error within the bounds,
/// without recursion, and without memory that is reserved on the strength of a claimed length.
/// Work is linear in the bytes received, in whatever pieces they come. After an error the parser
/// gives that error for ever.
package struct RESPReplyParser: Sendable {
    /// What one reply may cost.
    package struct Bounds: Hashable, Sendable {
        /// Bytes of one byte string.
        package var bulkByteCountMax: Int
        /// Bytes of one line, which is also a simple string or an error.
        package var lineByteCountMax: Int
        /// Bytes of one whole reply.
        package var replyByteCountMax: Int
        /// Elements of one whole reply, on all levels together; a map's entry counts two.
        package var elementCountMax: Int
        /// Nested levels of aggregates; 0 accepts none.
        package var depthMax: Int

        package init(
            bulkByteCountMax: Int = Self.bulkByteCountMaxDefault,
            lineByteCountMax: Int = Self.lineByteCountMaxDefault,
            replyByteCountMax: Int = 256 * 1024 * 1024,
            elementCountMax: Int = 1024 * 1024,
            depthMax: Int = Self.depthMaxDefault
        ) {
            self.bulkByteCountMax = bulkByteCountMax
            self.lineByteCountMax = lineByteCountMax
            self.replyByteCountMax = replyByteCountMax
            self.elementCountMax = elementCountMax
            self.depthMax = depthMax
        }

        package static let bulkByteCountMaxDefault = Limits.valueByteCountMax
        package static let lineByteCountMaxDefault = Limits.inlineByteCountMax
        package static let depthMaxDefault = Limits.replyDepthMax
    }

    private enum Aggregate {
        case array
        case map
        case set
        case push
        case attribute
    }

    private enum BulkKind {
        case string
        case error
        case verbatim
    }

    /// An aggregate whose elements are still arriving.
    private struct Frame {
        var kind: Aggregate
        var remaining: Int
        var elements: [RESPValue]
    }

    private let bounds: Bounds
    private var buffer = ByteBuffer()
    /// Whether slices of `buffer` may be held elsewhere, so that writing into it would copy it.
    private var isShared = false
    /// Bytes of the current line that were searched for its end already.
    private var scannedByteCount = 0
    private var bulk: (kind: BulkKind, byteCount: Int)?
    private var stack: [Frame] = []
    private var replyByteCount = 0
    private var elementCount = 0
    private var failure: RESPReplyError?

    package init(bounds: Bounds = Bounds()) {
        self.bounds = bounds
    }

    /// Bytes received that are not part of a reply that was handed out.
    package var bufferedByteCount: Int { self.buffer.readableBytes }

    /// Whether a reply has begun and is not whole.
    package var isInsideReply: Bool {
        self.buffer.readableBytes > 0 || self.bulk != nil || !self.stack.isEmpty
    }

    /// Takes bytes in the order in which they arrived.
    package mutating func append(_ bytes: ByteBuffer) {
        guard self.failure == nil else { return }
        guard self.buffer.readableBytes > 0 else {
            self.buffer = bytes
            self.isShared = true
            return
        }
        if self.isShared {
            // What is left is a part of one element, so this copy is paid once per element, and
            // later pieces of a large one are written behind it in place.
            var own = ByteBuffer()
            own.reserveCapacity(self.buffer.readableBytes + bytes.readableBytes)
            own.writeImmutableBuffer(self.buffer)
            self.buffer = own
            self.isShared = false
        } else if self.buffer.readerIndex > self.buffer.readableBytes {
            self.buffer.discardReadBytes()
        }
        self.buffer.writeImmutableBuffer(bytes)
    }

    /// The next whole reply, or `nil` until more bytes arrive.
    package mutating func next() throws(RESPReplyError) -> RESPValue? {
        if let failure = self.failure { throw failure }
        do {
            return try self.advance()
        } catch {
            self.failure = error
            self.buffer = ByteBuffer()
            self.stack = []
            throw error
        }
    }

    private mutating func advance() throws(RESPReplyError) -> RESPValue? {
        while true {
            let element: RESPValue?
            if let bulk = self.bulk {
                guard let value = try self.readBulk(bulk.kind, byteCount: bulk.byteCount) else {
                    return nil
                }
                self.bulk = nil
                element = value
            } else {
                guard let byteCount = try self.lineByteCount() else { return nil }
                element = try self.readLine(byteCount: byteCount)
            }
            if let element, let reply = self.place(element) {
                self.replyByteCount = 0
                self.elementCount = 0
                return reply
            }
        }
    }

    /// Puts an element where it belongs; returns the whole reply once nothing is missing.
    private mutating func place(_ element: RESPValue) -> RESPValue? {
        var value = element
        while let top = self.stack.indices.last {
            self.stack[top].elements.append(value)
            self.stack[top].remaining -= 1
            guard self.stack[top].remaining == 0 else { return nil }
            let frame = self.stack.removeLast()
            guard let whole = Self.value(of: frame) else { return nil }
            value = whole
        }
        return value
    }

    private static func value(of frame: Frame) -> RESPValue? {
        switch frame.kind {
        case .array: return .array(frame.elements)
        case .set: return .set(frame.elements)
        case .push: return .push(frame.elements)
        case .attribute: return nil
        case .map:
            var entries: [RESPValue.Entry] = []
            entries.reserveCapacity(frame.elements.count / 2)
            for index in stride(from: 0, to: frame.elements.count - 1, by: 2) {
                entries.append(
                    .init(key: frame.elements[index], value: frame.elements[index + 1])
                )
            }
            return .map(entries)
        }
    }
}

extension RESPReplyParser {
    private static let carriageReturn = UInt8(ascii: "\r")
    private static let lineFeed = UInt8(ascii: "\n")

    /// Bytes of the next line without its CR LF, or `nil` until it is whole.
    private mutating func lineByteCount() throws(RESPReplyError) -> Int? {
        let from = self.scannedByteCount
        let (end, next) = self.buffer.withUnsafeReadableBytes { bytes -> (Int?, UInt8?) in
            var index = from
            while index < bytes.count {
                if bytes[index] == Self.carriageReturn {
                    return (index, index + 1 < bytes.count ? bytes[index + 1] : nil)
                }
                if bytes[index] == Self.lineFeed { return (index, Self.carriageReturn) }
                index += 1
            }
            return (nil, nil)
        }
        guard (end ?? self.buffer.readableBytes) <= self.bounds.lineByteCountMax else {
            throw .lineTooLong(byteCountMax: self.bounds.lineByteCountMax)
        }
        guard let end, let next else {
            self.scannedByteCount = end ?? self.buffer.readableBytes
            return nil
        }
        guard next == Self.lineFeed, end > 0 else { throw .malformedLine }
        self.scannedByteCount = 0
        try self.account(byteCount: end + 2)
        return end
    }

    /// Reads a line that is whole; `nil` when it only opens something.
    private mutating func readLine(byteCount: Int) throws(RESPReplyError) -> RESPValue? {
        guard let type: UInt8 = self.buffer.readInteger() else { throw .malformedLine }
        let value: RESPValue?
        switch type {
        case UInt8(ascii: "$"):
            return try self.openBulk(.string, byteCount: byteCount - 1)
        case UInt8(ascii: ":"):
            value = .integer(try self.readNumber(byteCount: byteCount - 1))
            self.buffer.moveReaderIndex(forwardBy: 2)
            return value
        case UInt8(ascii: "*"):
            return try self.openAggregate(.array, byteCount: byteCount - 1)
        case UInt8(ascii: "%"):
            return try self.openAggregate(.map, byteCount: byteCount - 1)
        case UInt8(ascii: "~"):
            return try self.openAggregate(.set, byteCount: byteCount - 1)
        case UInt8(ascii: ">"):
            return try self.openAggregate(.push, byteCount: byteCount - 1)
        case UInt8(ascii: "|"):
            return try self.openAggregate(.attribute, byteCount: byteCount - 1)
        case UInt8(ascii: "!"):
            return try self.openBulk(.error, byteCount: byteCount - 1)
        case UInt8(ascii: "="):
            return try self.openBulk(.verbatim, byteCount: byteCount - 1)
        default:
            guard let text = self.buffer.readSlice(length: byteCount - 1) else {
                throw .malformedLine
            }
            self.buffer.moveReaderIndex(forwardBy: 2)
            self.isShared = true
            return try Self.scalar(type: type, text: text)
        }
    }

    private static func scalar(type: UInt8, text: ByteBuffer) throws(RESPReplyError) -> RESPValue {
        switch type {
        case UInt8(ascii: "+"): return .simpleString(text)
        case UInt8(ascii: "-"): return .error(text)
        case UInt8(ascii: "_"):
            guard text.readableBytes == 0 else { throw .malformedValue }
            return .null
        case UInt8(ascii: "#"):
            let letter = text.getInteger(at: text.readerIndex, as: UInt8.self)
            guard text.readableBytes == 1, let letter else { throw .malformedValue }
            switch letter {
            case UInt8(ascii: "t"): return .boolean(true)
            case UInt8(ascii: "f"): return .boolean(false)
            default: throw .malformedValue
            }
        case UInt8(ascii: ","): return .double(try Self.double(text))
        case UInt8(ascii: "("):
            guard Self.isBigNumber(text) else { throw .malformedValue }
            return .bigNumber(text)
        default: throw .unknownType(type)
        }
    }

    private static func isBigNumber(_ text: ByteBuffer) -> Bool {
        var digits = text.readableBytesView[...]
        if let sign = digits.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            digits = digits.dropFirst()
        }
        return !digits.isEmpty && digits.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
    }

    private static func double(_ text: ByteBuffer) throws(RESPReplyError) -> Double {
        let string = String(buffer: text)
        switch string {
        case "inf", "+inf": return .infinity
        case "-inf": return -.infinity
        case "nan", "-nan": return .nan
        default:
            // The standard library also reads hexadecimal and words; RESP has neither.
            let allowed = string.utf8.allSatisfy {
                ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2B || $0 == 0x2D || $0 == 0x2E
                    || $0 == 0x45 || $0 == 0x65
            }
            guard allowed, string.utf8.count <= 64, let value = Double(string) else {
                throw .malformedValue
            }
            return value
        }
    }

    /// Reads the decimal number that stands at the reader index.
    private mutating func readNumber(byteCount: Int) throws(RESPReplyError) -> Int64 {
        let number = self.buffer.withUnsafeReadableBytes { bytes in
            Self.number(UnsafeRawBufferPointer(rebasing: bytes.prefix(byteCount)))
        }
        guard let number else { throw .malformedNumber }
        self.buffer.moveReaderIndex(forwardBy: byteCount)
        return number
    }

    private static func number(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        var index = 0
        var isNegative = false
        if let sign = bytes.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            index = 1
        }
        guard index < bytes.count else { return nil }
        // Negative all the way, because the smallest integer has no positive counterpart.
        var value: Int64 = 0
        while index < bytes.count {
            let digit = bytes[index] &- 0x30
            guard digit <= 9 else { return nil }
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = shifted.subtractingReportingOverflow(Int64(digit))
            guard !overflow, !carry else { return nil }
            value = sum
            index += 1
        }
        guard !isNegative else { return value }
        return value == .min ? nil : -value
    }
}

extension RESPReplyParser {
    private mutating func account(byteCount: Int) throws(RESPReplyError) {
        guard byteCount <= self.bounds.replyByteCountMax - self.replyByteCount else {
            throw .replyTooLarge(byteCountMax: self.bounds.replyByteCountMax)
        }
        self.replyByteCount += byteCount
    }

    private mutating func openBulk(
        _ kind: BulkKind,
        byteCount: Int
    ) throws(RESPReplyError) -> RESPValue? {
        let length = try self.readNumber(byteCount: byteCount)
        self.buffer.moveReaderIndex(forwardBy: 2)
        if length == -1, kind == .string { return .null }
        guard length >= 0 else { throw .malformedNumber }
        guard length <= Int64(self.bounds.bulkByteCountMax) else {
            throw .bulkTooLarge(byteCount: length, byteCountMax: self.bounds.bulkByteCountMax)
        }
        let count = Int(length)
        try self.account(byteCount: count)
        try self.account(byteCount: 2)
        self.bulk = (kind, count)
        return nil
    }

    private mutating func readBulk(
        _ kind: BulkKind,
        byteCount: Int
    ) throws(RESPReplyError) -> RESPValue? {
        guard self.buffer.readableBytes - 2 >= byteCount else { return nil }
        guard let bytes = self.buffer.readSlice(length: byteCount),
            let end: UInt16 = self.buffer.readInteger(), end == 0x0D0A
        else { throw .unterminatedBulk }
        self.isShared = true
        switch kind {
        case .string: return .bulk(bytes)
        case .error: return .error(bytes)
        case .verbatim:
            var text = bytes
            guard text.readableBytes >= 4,
                text.getInteger(at: text.readerIndex + 3, as: UInt8.self) == UInt8(ascii: ":")
            else { throw .malformedValue }
            text.moveReaderIndex(forwardBy: 4)
            return .verbatim(text)
        }
    }

    private mutating func openAggregate(
        _ kind: Aggregate,
        byteCount: Int
    ) throws(RESPReplyError) -> RESPValue? {
        let claimed = try self.readNumber(byteCount: byteCount)
        self.buffer.moveReaderIndex(forwardBy: 2)
        if claimed == -1, kind == .array { return .null }
        guard claimed >= 0 else { throw .malformedNumber }
        if kind == .push, !self.stack.isEmpty { throw .misplacedPush }
        let perEntry = kind == .map || kind == .attribute ? 2 : 1
        let room = self.bounds.elementCountMax - self.elementCount
        guard claimed <= Int64(room / perEntry) else {
            throw .tooManyElements(countMax: self.bounds.elementCountMax)
        }
        guard self.stack.count < self.bounds.depthMax else {
            throw .tooDeep(depthMax: self.bounds.depthMax)
        }
        let count = Int(claimed) * perEntry
        self.elementCount += count
        guard count > 0 else {
            return Self.value(of: Frame(kind: kind, remaining: 0, elements: []))
        }
        var frame = Frame(kind: kind, remaining: count, elements: [])
        frame.elements.reserveCapacity(min(count, 256))
        self.stack.append(frame)
        return nil
    }
}
