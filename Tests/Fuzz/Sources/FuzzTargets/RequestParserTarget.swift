import NIOCore
import PrustCore
import PrustWire

/// RESP requests and inline commands.
///
/// Properties: whatever the pieces in which bytes arrive, the same commands come out; a command
/// never takes more bytes than were given, nor fewer than it was announced to need; its arguments
/// lie within them; a client that is not logged in gets the same commands or an error; and commands
/// that are written again read back the same.
package func fuzzRequestParser(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    let flags = input.byte()
    let seed = UInt64(input.byte())
    let argumentCountMax = flags & 1 == 0 ? Limits.argumentCountMax : 4
    let stream = stretched(&input, isLong: flags & 6 == 6)
    let pieceMax = stream.count > 16_384 ? 8_192 : flags & 8 == 0 ? 4 : 64

    let whole = Parsing.run(stream, .trusted, argumentCountMax: argumentCountMax)
    var random = SeededRandom(seed: seed)
    let pieces = Parsing.run(stream, .trusted, argumentCountMax: argumentCountMax) { _ in
        1 + Int(random.next() % UInt64(pieceMax))
    }
    if stream.count <= Limits.inlineByteCountMax {
        check(whole == pieces, "pieces matter: \(whole) against \(pieces)")
    } else {
        // As in Redis, a line above the limit is refused only when it comes in pieces.
        check(whole.commands.starts(with: pieces.commands), "pieces matter in a long stream")
    }

    let stranger = Parsing.run(stream, .untrusted, argumentCountMax: argumentCountMax)
    check(whole.commands.starts(with: stranger.commands), "a stranger gets other commands")
    if stranger.failure != whole.failure {
        check(
            stranger.failure?.contains("unauthenticated") == true,
            "a stranger gets another error: \(stranger.failure ?? "none")"
        )
    }
    whole.checkWrittenAgain()
}

/// The bytes of a stream; one of them 70,000 times if it is to be longer than a line may be.
private func stretched(_ input: inout FuzzInput, isLong: Bool) -> [UInt8] {
    guard isLong else { return input.rest() }
    let filler = input.byte()
    let before = input.take(Int(input.byte()))
    return before + Array(repeating: filler, count: 70_000) + input.rest()
}

private struct Parsing: Equatable {
    var commands: [[[UInt8]]] = []
    var consumed = 0
    var failure: String?
    /// Bytes that the unfinished command was announced to need.
    private var needed = 0

    /// Reads a stream; without `pieceByteCount` all of it is there from the start.
    static func run(
        _ stream: [UInt8],
        _ trust: RequestParser.Trust,
        argumentCountMax: Int,
        pieceByteCount: ((Int) -> Int)? = nil
    ) -> Parsing {
        var result = Parsing()
        var parser = RequestParser(argumentCountMax: argumentCountMax)
        var end = 0
        repeat {
            end = min(stream.count, end + (pieceByteCount?(end) ?? stream.count))
            let isOver = withExactCopy(stream[result.consumed..<end]) { window in
                result.takeCommands(UnsafeRawBufferPointer(window), &parser, trust)
            }
            if isOver { return result }
        } while end < stream.count
        return result
    }

    /// Reads all commands in a window; `true` after an error.
    private mutating func takeCommands(
        _ window: UnsafeRawBufferPointer,
        _ parser: inout RequestParser,
        _ trust: RequestParser.Trust
    ) -> Bool {
        var rest = window
        while true {
            switch parser.next(rest, trust: trust) {
            case .command(let byteCount):
                check(byteCount > 0 && byteCount <= rest.count, "\(byteCount) of \(rest.count)")
                check(byteCount >= self.needed, "\(byteCount) bytes, announced: \(self.needed)")
                self.commands.append(Self.arguments(parser, rest, byteCount: byteCount))
                rest = UnsafeRawBufferPointer(rebasing: rest[byteCount...])
                self.consumed += byteCount
                self.needed = 0
            case .failed(let text):
                check(!text.isEmpty, "an error without a text")
                self.failure = text
                self.needed = 0
                return true
            case .needsMore:
                self.needed = parser.neededByteCount
                check(self.needed > 0, "more is needed, but nothing")
                return false
            }
        }
    }

    private static func arguments(
        _ parser: RequestParser,
        _ window: UnsafeRawBufferPointer,
        byteCount: Int
    ) -> [[UInt8]] {
        let limit = parser.isInScratch ? parser.scratch.count : byteCount
        for place in parser.places {
            check(Int(place.offset) + Int(place.byteCount) <= limit, "\(place) beyond \(limit)")
        }
        func copy(_ base: UnsafeRawPointer) -> [[UInt8]] {
            parser.places.withUnsafeBufferPointer { places in
                let arguments = RequestArguments(base: base, places: places)
                return (0..<arguments.count).map { Array(arguments[$0]) }
            }
        }
        guard parser.isInScratch else { return window.baseAddress.map { copy($0) } ?? [] }
        // Empty scratch memory has no address, and then every argument is empty.
        return withExactCopy(parser.scratch + [0]) { scratch in
            scratch.baseAddress.map { copy($0) } ?? []
        }
    }

    func checkWrittenAgain() {
        let commands = self.commands.filter { !$0.isEmpty }
        var buffer = ByteBuffer()
        for command in commands {
            RESPCommandEncoder.begin(argumentCount: command.count, into: &buffer)
            for argument in command { RESPCommandEncoder.argument(argument, into: &buffer) }
        }
        let stream = Array(buffer.readableBytesView)
        let again = Self.run(stream, .trusted, argumentCountMax: Limits.argumentCountMax)
        check(again.commands == commands, "written again: \(again) from \(commands)")
        check(again.consumed == stream.count && again.failure == nil, "written again: \(again)")
    }
}
