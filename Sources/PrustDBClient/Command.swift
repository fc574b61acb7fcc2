import NIOCore
private import PrustCore
private import PrustWire

/// A command as bytes, ready to be sent, and whether it may change anything.
struct Command: Sendable {
    let bytes: ByteBuffer
    let isWrite: Bool
}

/// Writes one command; the number of its arguments is known beforehand.
struct CommandBuilder {
    private var bytes: ByteBuffer
    private let isWrite: Bool

    /// Begins a command.
    ///
    /// - Parameters:
    ///   - name: The command's name, which is its first argument.
    ///   - argumentCount: Arguments behind the name.
    ///   - isWrite: Whether the command may change anything.
    ///   - level: Goes before the command as `AT level` unless it is the default.
    ///   - byteCount: Bytes of the arguments, to get the memory at once.
    init(
        _ name: StaticString,
        argumentCount: Int,
        isWrite: Bool,
        level: Level = .strong,
        byteCount: Int = 0
    ) {
        self.bytes = ByteBufferAllocator().buffer(capacity: byteCount + argumentCount * 12 + 64)
        self.isWrite = isWrite
        if level == .strong {
            RESPCommandEncoder.begin(argumentCount: argumentCount + 1, into: &self.bytes)
        } else {
            RESPCommandEncoder.begin(argumentCount: argumentCount + 3, into: &self.bytes)
            RESPCommandEncoder.argument("AT", into: &self.bytes)
            RESPCommandEncoder.argument(level.rawValue.utf8, into: &self.bytes)
        }
        RESPCommandEncoder.argument(name, into: &self.bytes)
    }

    mutating func add(_ bytes: some Collection<UInt8>) {
        RESPCommandEncoder.argument(bytes, into: &self.bytes)
    }

    mutating func add(word: StaticString) {
        RESPCommandEncoder.argument(word, into: &self.bytes)
    }

    mutating func add(number: Int64) {
        RESPCommandEncoder.argument(number, into: &self.bytes)
    }

    func command() -> Command {
        Command(bytes: self.bytes, isWrite: self.isWrite)
    }
}
