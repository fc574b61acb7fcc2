extension Client {
    /// Reads several keys in one command, each atomic on its own.
    ///
    /// - Parameters:
    ///   - keys: The keys; an empty list gives an empty result without asking anyone.
    ///   - level: How fresh the answers must be.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: The values in the order of the keys; `nil` for a key that does not exist.
    /// - Throws: ``ClientError``; `tooLarge` above 65,533 keys.
    public func getMany(
        _ keys: some Collection<some Collection<UInt8>>,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> [[UInt8]?] {
        guard !keys.isEmpty else { return [] }
        let builder = try self.keysCommand("MGET", keys, isWrite: false, level: level)
        let reader = try await self.perform(builder, deadline: deadline)
        return try reader.optionalByteStrings(count: keys.count)
    }

    /// Writes several keys in one command, each atomic on its own, not all together.
    ///
    /// - Parameters:
    ///   - pairs: Keys and their new values, without an end; of a key that comes twice the last
    ///     value stays.
    ///   - level: Where the values must be before the call returns.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Throws: ``ClientError``; `tooLarge` above 32,766 pairs or 32 MiB. With the outcome
    ///   `unknown`, any of the keys may have been written.
    public func setMany(
        _ pairs: some Collection<(some Collection<UInt8>, some Collection<UInt8>)>,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) {
        guard !pairs.isEmpty else { return }
        try self.check(argumentCount: pairs.count * 2)
        var byteCount = 0
        for (key, value) in pairs {
            try self.check(key: key)
            try self.check(value: value)
            byteCount += key.count + value.count
        }
        var builder = CommandBuilder(
            "MSET",
            argumentCount: pairs.count * 2,
            isWrite: true,
            level: level,
            byteCount: byteCount
        )
        for (key, value) in pairs {
            builder.add(key)
            builder.add(value)
        }
        _ = try await self.perform(builder, deadline: deadline).isDone()
    }

    /// Deletes several keys in one command, each atomic on its own.
    ///
    /// - Parameters:
    ///   - keys: The keys.
    ///   - level: Where they must be gone before the call returns.
    ///   - deadline: How long the call may take; the configuration's by default.
    /// - Returns: How many of them existed.
    /// - Throws: ``ClientError``; `tooLarge` above 65,533 keys.
    @discardableResult
    public func deleteMany(
        _ keys: some Collection<some Collection<UInt8>>,
        level: Level = .strong,
        deadline: Duration? = nil
    ) async throws(ClientError) -> Int {
        guard !keys.isEmpty else { return 0 }
        let builder = try self.keysCommand("DEL", keys, isWrite: true, level: level)
        let reader = try await self.perform(builder, deadline: deadline)
        guard let count = Int(exactly: try reader.integer()) else {
            throw reader.unexpected("a count")
        }
        return count
    }

    private func keysCommand(
        _ name: StaticString,
        _ keys: some Collection<some Collection<UInt8>>,
        isWrite: Bool,
        level: Level
    ) throws(ClientError) -> CommandBuilder {
        try self.check(argumentCount: keys.count)
        var byteCount = 0
        for key in keys {
            try self.check(key: key)
            byteCount += key.count
        }
        var builder = CommandBuilder(
            name,
            argumentCount: keys.count,
            isWrite: isWrite,
            level: level,
            byteCount: byteCount
        )
        for key in keys { builder.add(key) }
        return builder
    }
}
