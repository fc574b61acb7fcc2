/// Every command of the Redis protocol that this server knows.
package enum Command: UInt8, CaseIterable, Sendable {
    case append, at, auth, client, command, config, dbsize, decr, decrby, del, echo, exists, expire
    case expireat, expiretime, explain, get, getdel, getex, getrange, getset, hello, incr, incrby
    case incrbyfloat, info, mget, mset, persist, pexpire, pexpireat, pexpiretime, ping, psetex, pttl
    case quit, reset, scan, select, set, setex, setnx, setrange, strlen, substr, time, touch, ttl
    case type, unlink

    /// What a user must be allowed to do.
    package enum Access: Sendable {
        /// Nothing, not even to be known: only what logs in or leaves.
        case open
        /// Any user.
        case user
        case read
        case write
        case admin
    }

    struct Spec: Sendable {
        /// Number of arguments with the name; negative: at least so many, as in Redis.
        var arity: Int
        var access: Access
        /// Places of the keys: first, last (negative: counted from the end) and step; 0: none.
        var firstKey = 0
        var lastKey = 0
        var keyStep = 0
        var isFast = false
        var summary: String
    }

    static let names: [String] = Command.allCases.map { "\($0)" }
    var name: String { Self.names[Int(self.rawValue)] }

    static let specs: [Spec] = Command.allCases.map(\.definition)
    @inline(__always) var spec: Spec { Self.specs[Int(self.rawValue)] }

    private static func read(_ arity: Int, _ summary: String, last: Int = 1) -> Spec {
        Spec(
            arity: arity,
            access: .read,
            firstKey: 1,
            lastKey: last,
            keyStep: 1,
            isFast: true,
            summary: summary
        )
    }

    private static func write(
        _ arity: Int,
        _ summary: String,
        last: Int = 1,
        step: Int = 1
    )
        -> Spec
    {
        Spec(
            arity: arity,
            access: .write,
            firstKey: 1,
            lastKey: last,
            keyStep: step,
            summary: summary
        )
    }

    private static func other(_ arity: Int, _ access: Access, _ summary: String) -> Spec {
        Spec(arity: arity, access: access, isFast: true, summary: summary)
    }

    private var definition: Spec {
        self.keyDefinition ?? self.otherDefinition
    }

    private var keyDefinition: Spec? {
        switch self {
        case .append: Self.write(3, "Appends to the value of a key.")
        case .decr: Self.write(2, "Subtracts one from the number of a key.")
        case .decrby: Self.write(3, "Subtracts from the number of a key.")
        case .del: Self.write(-2, "Deletes keys.", last: -1)
        case .exists: Self.read(-2, "Counts the keys that exist.", last: -1)
        case .expire: Self.write(-3, "Sets a key's time to live in seconds.")
        case .expireat: Self.write(-3, "Sets a key's expiry as a Unix time in seconds.")
        case .expiretime: Self.read(2, "Returns a key's expiry as a Unix time in seconds.")
        case .get: Self.read(2, "Returns the value of a key.")
        case .getdel: Self.write(2, "Returns the value of a key and deletes it.")
        case .getex: Self.write(-2, "Returns the value of a key and sets its expiry.")
        case .getrange: Self.read(4, "Returns a part of the value of a key.")
        case .getset: Self.write(3, "Sets the value of a key and returns the old one.")
        case .incr: Self.write(2, "Adds one to the number of a key.")
        case .incrby: Self.write(3, "Adds to the number of a key.")
        case .incrbyfloat: Self.write(3, "Adds to the floating-point number of a key.")
        case .mget: Self.read(-2, "Returns the values of keys.", last: -1)
        case .mset: Self.write(-3, "Sets the values of keys.", last: -1, step: 2)
        case .persist: Self.write(2, "Removes a key's expiry.")
        case .pexpire: Self.write(-3, "Sets a key's time to live in milliseconds.")
        case .pexpireat: Self.write(-3, "Sets a key's expiry as a Unix time in milliseconds.")
        case .pexpiretime: Self.read(2, "Returns a key's expiry as a Unix time in milliseconds.")
        case .psetex: Self.write(4, "Sets the value of a key with a life in milliseconds.")
        case .pttl: Self.read(2, "Returns a key's time to live in milliseconds.")
        case .set: Self.write(-3, "Sets the value of a key.")
        case .setex: Self.write(4, "Sets the value of a key with a life in seconds.")
        case .setnx: Self.write(3, "Sets the value of a key that does not exist.")
        case .setrange: Self.write(4, "Overwrites a part of the value of a key.")
        case .strlen: Self.read(2, "Returns the length of the value of a key.")
        case .substr: Self.read(4, "Returns a part of the value of a key.")
        case .touch: Self.read(-2, "Counts the keys that exist and marks them as used.", last: -1)
        case .ttl: Self.read(2, "Returns a key's time to live in seconds.")
        case .type: Self.read(2, "Returns the type of a key's value.")
        case .unlink: Self.write(-2, "Deletes keys.", last: -1)
        case .at, .auth, .client, .command, .config, .dbsize, .echo, .explain, .hello, .info,
            .ping, .quit, .reset, .scan, .select, .time:
            nil
        }
    }

    private var otherDefinition: Spec {
        switch self {
        case .at: Self.other(-2, .user, "Runs a command at a consistency level.")
        case .auth: Self.other(-2, .open, "Logs in with a name and a password.")
        case .client: Self.other(-2, .user, "Describes and names this connection.")
        case .command: Self.other(-1, .user, "Describes the commands.")
        case .config: Self.other(-2, .admin, "Shows settings that clients ask for.")
        case .dbsize: Self.other(1, .read, "Returns the number of keys.")
        case .echo: Self.other(2, .user, "Returns its argument.")
        case .explain: Self.other(-2, .user, "Runs a command and returns it with a receipt.")
        case .hello: Self.other(-1, .open, "Chooses the version of the protocol and logs in.")
        case .info: Self.other(-1, .user, "Describes the server.")
        case .ping: Self.other(-1, .user, "Answers PONG.")
        case .quit: Self.other(-1, .open, "Closes the connection.")
        case .reset: Self.other(1, .open, "Makes the connection as it was when new.")
        case .scan: Self.other(-2, .read, "Walks over the keys.")
        case .select: Self.other(2, .user, "Chooses database 0, the only one.")
        default: Self.other(1, .user, "Returns the server's time.")
        }
    }
}

extension Command {
    /// A name of up to 16 bytes in lower case, packed for comparison.
    private struct Packed: Equatable {
        var low: UInt64 = 0
        var high: UInt64 = 0

        @inline(__always)
        init?(_ bytes: UnsafeRawBufferPointer) {
            guard bytes.count <= 16, bytes.count > 0 else { return nil }
            for index in 0..<bytes.count {
                var byte = UInt64(bytes[index])
                if byte == 0 { return nil }
                if byte >= 65, byte <= 90 { byte |= 32 }
                if index < 8 {
                    self.low |= byte << UInt64(index * 8)
                } else {
                    self.high |= byte << UInt64(index * 8 - 64)
                }
            }
        }

        @inline(__always)
        var slot: Int {
            Int(
                truncatingIfNeeded: ((self.low ^ self.high) &* 0x9E37_79B9_7F4A_7C15) >> 55
            )
        }
    }

    private static let slots: [(name: Packed, command: Command)?] = {
        var slots = [(name: Packed, command: Command)?](repeating: nil, count: 512)
        for command in Command.allCases {
            guard let name = Array(command.name.utf8).withUnsafeBytes({ Packed($0) }) else {
                continue
            }
            var slot = name.slot
            while slots[slot] != nil { slot = (slot + 1) & 511 }
            slots[slot] = (name, command)
        }
        return slots
    }()

    /// The command of a name in either case.
    package static func named(_ bytes: UnsafeRawBufferPointer) -> Command? {
        guard let name = Packed(bytes) else { return nil }
        var slot = name.slot
        while let entry = Self.slots[slot] {
            if entry.name == name { return entry.command }
            slot = (slot + 1) & 511
        }
        return nil
    }
}
