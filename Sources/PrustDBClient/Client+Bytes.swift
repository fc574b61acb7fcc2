extension Client {
    /// Reads a key.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - level: How fresh the answer must be.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: The value, or `nil` when there is no such key.
    /// - Throws: ``ClientError``.
    public func get(
        _ key: some Collection<UInt8>,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> [UInt8]? {
        try self.check(key: key)
        var builder = CommandBuilder(
            "GET",
            argumentCount: 1,
            isWrite: false,
            level: level,
            byteCount: key.count
        )
        builder.add(key)
        return try await self.perform(builder, deadline: deadline).bytes()
    }

    /// Writes a key.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - value: Its new value.
    ///   - expiry: When the key ends; by default never, even if it had an end before.
    ///   - condition: What must hold. Any but `always` runs at level `strong` whatever is asked.
    ///   - level: Where the value must be before the call returns.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: Whether the value was set; `false` only when the condition did not hold.
    /// - Throws: ``ClientError``.
    @discardableResult
    public func set(
        _ key: some Collection<UInt8>,
        _ value: some Collection<UInt8>,
        expiry: Expiry? = nil,
        condition: SetCondition = .always,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Bool {
        try self.check(key: key)
        try self.check(value: value)
        let builder = try Self.setCommand(key, value, expiry, condition, level)
        return try await self.perform(builder, deadline: deadline).isDone()
    }

    private static func setCommand(
        _ key: some Collection<UInt8>,
        _ value: some Collection<UInt8>,
        _ expiry: Expiry?,
        _ condition: SetCondition,
        _ level: Level
    ) throws(ClientError) -> CommandBuilder {
        var expected: [UInt8] = []
        var argumentCount = 2
        switch condition.kind {
        case .always: break
        case .ifAbsent, .ifPresent: argumentCount += 1
        case .ifEqual(let value):
            argumentCount += 2
            expected = value
        }
        let end = try expiry.map { expiry throws(ClientError) in try ExpiryArgument(expiry) }
        argumentCount += end?.argumentCount ?? 0
        var builder = CommandBuilder(
            "SET",
            argumentCount: argumentCount,
            isWrite: true,
            level: level,
            byteCount: key.count + value.count + expected.count
        )
        builder.add(key)
        builder.add(value)
        switch condition.kind {
        case .always: break
        case .ifAbsent: builder.add(word: "NX")
        case .ifPresent: builder.add(word: "XX")
        case .ifEqual:
            builder.add(word: "IFEQ")
            builder.add(expected)
        }
        switch end {
        case nil: break
        case .milliseconds(let count):
            builder.add(word: "PX")
            builder.add(number: count)
        case .moment(let unixMilliseconds):
            builder.add(word: "PXAT")
            builder.add(number: unixMilliseconds)
        case .keep:
            builder.add(word: "KEEPTTL")
        }
        return builder
    }

    /// Writes a key if it holds what is expected, atomically.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - expected: The value that it must have; `nil` when it must not exist.
    ///   - new: Its new value, without an end.
    ///   - expiry: When the key ends; by default never.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: Whether the value was set.
    /// - Throws: ``ClientError``.
    public func compareAndSet(
        _ key: some Collection<UInt8>,
        expected: [UInt8]?,
        new: some Collection<UInt8>,
        expiry: Expiry? = nil,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Bool {
        try await self.set(
            key,
            new,
            expiry: expiry,
            condition: expected.map { .ifEqual($0) } ?? .ifAbsent,
            deadline: deadline
        )
    }

    /// Deletes a key.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - level: Where it must be gone before the call returns.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: Whether it existed.
    /// - Throws: ``ClientError``.
    @discardableResult
    public func delete(
        _ key: some Collection<UInt8>,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Bool {
        let builder = try self.keyCommand("DEL", key, isWrite: true, level: level)
        return try await self.perform(builder, deadline: deadline).flag()
    }

    /// Says whether a key exists.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - level: How fresh the answer must be.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: Whether it exists.
    /// - Throws: ``ClientError``.
    public func exists(
        _ key: some Collection<UInt8>,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Bool {
        let builder = try self.keyCommand("EXISTS", key, isWrite: false, level: level)
        return try await self.perform(builder, deadline: deadline).flag()
    }

    /// Adds to a key that holds a decimal integer of 64 bits, or to 0 when there is no such key.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - amount: What is added; may be negative.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: The sum.
    /// - Throws: ``ClientError``; `serverError` when the value is no integer or the sum overflows.
    @discardableResult
    public func increment(
        _ key: some Collection<UInt8>,
        by amount: Int64 = 1,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Int64 {
        try self.check(key: key)
        var builder = CommandBuilder(
            "INCRBY",
            argumentCount: 2,
            isWrite: true,
            byteCount: key.count
        )
        builder.add(key)
        builder.add(number: amount)
        return try await self.perform(builder, deadline: deadline).integer()
    }

    /// Adds bytes to the end of a value, which is empty when there is no such key.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - suffix: The bytes.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: Bytes of the whole value.
    /// - Throws: ``ClientError``.
    @discardableResult
    public func append(
        _ key: some Collection<UInt8>,
        _ suffix: some Collection<UInt8>,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Int {
        try self.check(key: key)
        try self.check(value: suffix)
        var builder = CommandBuilder(
            "APPEND",
            argumentCount: 2,
            isWrite: true,
            byteCount: key.count + suffix.count
        )
        builder.add(key)
        builder.add(suffix)
        let reader = try await self.perform(builder, deadline: deadline)
        guard let count = Int(exactly: try reader.integer()) else {
            throw reader.unexpected("a length")
        }
        return count
    }

    /// Sets when a key ends.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - expiry: When it ends; `nil` takes the end away, `keep` is not valid here.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: Whether something was changed: the key exists and, to take an end away, has one.
    /// - Throws: ``ClientError``.
    @discardableResult
    public func expire(
        _ key: some Collection<UInt8>,
        _ expiry: Expiry?,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Bool {
        let end = try expiry.map { expiry throws(ClientError) in try ExpiryArgument(expiry) }
        var builder: CommandBuilder
        switch end {
        case nil:
            builder = try self.keyCommand("PERSIST", key, isWrite: true)
        case .milliseconds(let count):
            builder = try self.keyCommand("PEXPIRE", key, moreCount: 1, isWrite: true)
            builder.add(number: count)
        case .moment(let unixMilliseconds):
            builder = try self.keyCommand("PEXPIREAT", key, moreCount: 1, isWrite: true)
            builder.add(number: unixMilliseconds)
        case .keep:
            throw ClientError(.invalidArgument, "'keep' is no expiry to set")
        }
        return try await self.perform(builder, deadline: deadline).flag()
    }

    /// Says how long a key lives.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - level: How fresh the answer must be.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: What is left of its life.
    /// - Throws: ``ClientError``.
    public func timeToLive(
        _ key: some Collection<UInt8>,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> TimeToLive {
        let builder = try self.keyCommand("PTTL", key, isWrite: false, level: level)
        let reader = try await self.perform(builder, deadline: deadline)
        switch try reader.integer() {
        case -2: return .missing
        case -1: return .endless
        case let milliseconds where milliseconds >= 0:
            return .remaining(.milliseconds(milliseconds))
        default: throw reader.unexpected("a time to live")
        }
    }

    func keyCommand(
        _ name: StaticString,
        _ key: some Collection<UInt8>,
        moreCount: Int = 0,
        isWrite: Bool,
        level: Level = .strong
    ) throws(ClientError) -> CommandBuilder {
        try self.check(key: key)
        var builder = CommandBuilder(
            name,
            argumentCount: 1 + moreCount,
            isWrite: isWrite,
            level: level,
            byteCount: key.count
        )
        builder.add(key)
        return builder
    }
}
