extension Client {
    /// Reads a key; see ``get(_:level:deadline:)-swift.method``.
    ///
    /// The value comes as bytes; `getString` gives text.
    public func get(
        _ key: String,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> [UInt8]? {
        try await self.get(key.utf8, level: level, deadline: deadline)
    }

    /// Reads a key whose value is text.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - level: How fresh the answer must be.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: The value, or `nil` when there is no such key.
    /// - Throws: ``ClientError``; `invalidText` when the value is not UTF-8.
    public func getString(
        _ key: String,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> String? {
        guard let bytes = try await self.get(key.utf8, level: level, deadline: deadline) else {
            return nil
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ClientError(.invalidText, "the value is not UTF-8 text")
        }
        return text
    }

    /// Writes a key.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - value: Its new value.
    ///   - expiry: When the key ends; by default never, even if it had an end before.
    ///   - condition: What must hold.
    ///   - level: Where the value must be before the call returns.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: Whether the value was set; `false` only when the condition did not hold.
    /// - Throws: ``ClientError``.
    @discardableResult
    public func set(
        _ key: String,
        _ value: String,
        expiry: Expiry? = nil,
        condition: SetCondition = .always,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Bool {
        try await self.set(
            key.utf8,
            value.utf8,
            expiry: expiry,
            condition: condition,
            level: level,
            deadline: deadline
        )
    }

    /// Writes a key whose value is bytes.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - value: Its new value.
    ///   - expiry: When the key ends; by default never, even if it had an end before.
    ///   - condition: What must hold.
    ///   - level: Where the value must be before the call returns.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: Whether the value was set; `false` only when the condition did not hold.
    /// - Throws: ``ClientError``.
    @discardableResult
    public func set(
        _ key: String,
        _ value: some Collection<UInt8>,
        expiry: Expiry? = nil,
        condition: SetCondition = .always,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Bool {
        try await self.set(
            key.utf8,
            value,
            expiry: expiry,
            condition: condition,
            level: level,
            deadline: deadline
        )
    }

    /// Writes a key if it holds what is expected, atomically.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - expected: The value that it must have; `nil` when it must not exist.
    ///   - new: Its new value.
    ///   - expiry: When the key ends; by default never.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: Whether the value was set.
    /// - Throws: ``ClientError``.
    public func compareAndSet(
        _ key: String,
        expected: String?,
        new: String,
        expiry: Expiry? = nil,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Bool {
        try await self.compareAndSet(
            key.utf8,
            expected: expected.map { Array($0.utf8) },
            new: new.utf8,
            expiry: expiry,
            deadline: deadline
        )
    }

    /// Deletes a key and says whether it existed.
    @discardableResult
    public func delete(
        _ key: String,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Bool {
        try await self.delete(key.utf8, level: level, deadline: deadline)
    }

    /// Says whether a key exists.
    public func exists(
        _ key: String,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Bool {
        try await self.exists(key.utf8, level: level, deadline: deadline)
    }

    /// Adds to a key that holds a decimal integer of 64 bits, and returns the sum.
    @discardableResult
    public func increment(
        _ key: String,
        by amount: Int64 = 1,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Int64 {
        try await self.increment(key.utf8, by: amount, deadline: deadline)
    }

    /// Adds text to the end of a value, and returns the bytes of the whole.
    @discardableResult
    public func append(
        _ key: String,
        _ suffix: String,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Int {
        try await self.append(key.utf8, suffix.utf8, deadline: deadline)
    }

    /// Sets when a key ends, `nil` for never, and says whether something was changed.
    @discardableResult
    public func expire(
        _ key: String,
        _ expiry: Expiry?,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Bool {
        try await self.expire(key.utf8, expiry, deadline: deadline)
    }

    /// Says how long a key lives.
    public func timeToLive(
        _ key: String,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> TimeToLive {
        try await self.timeToLive(key.utf8, level: level, deadline: deadline)
    }

    /// Reads several keys in one command, each atomic on its own, in the order of the keys.
    public func getMany(
        _ keys: [String],
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> [[UInt8]?] {
        try await self.getMany(keys.map { $0.utf8 }, level: level, deadline: deadline)
    }

    /// Writes several keys in one command, each atomic on its own, not all together.
    public func setMany(
        _ pairs: [(String, String)],
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) {
        try await self.setMany(
            pairs.map { ($0.0.utf8, $0.1.utf8) },
            level: level,
            deadline: deadline
        )
    }

    /// Deletes several keys in one command, and returns how many of them existed.
    @discardableResult
    public func deleteMany(
        _ keys: [String],
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Int {
        try await self.deleteMany(keys.map { $0.utf8 }, level: level, deadline: deadline)
    }
}
