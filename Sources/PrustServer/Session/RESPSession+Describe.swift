import NIOCore
import PrustCore
import PrustTelemetry
import PrustWire

/// COMMAND and INFO, and the wrappers AT and EXPLAIN.
extension RESPSession {
    func describeCommands(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        guard arguments.count > 1 else {
            executor.out.writeReplyArray(count: Command.allCases.count)
            for command in Command.allCases { self.describe(command, executor) }
            return .done
        }
        let name = arguments[1]
        let named = (2..<max(arguments.count, 2)).map { Command.named(arguments[$0]) }
        if arguments.count > 2, name.equals("count") {
            return executor.fail("ERR wrong number of arguments for 'command|count' command")
        }
        if arguments.count > 2, name.equals("list") { return executor.syntaxError() }
        if name.equals("count") {
            return executor.integer(Int64(Command.allCases.count))
        } else if name.equals("list") {
            executor.out.writeReplyArray(count: Command.allCases.count)
            for command in Command.allCases { executor.out.writeReplyBulk(command.name) }
            return .done
        } else if name.equals("info") {
            let commands = arguments.count == 2 ? Command.allCases.map { $0 } : named
            executor.out.writeReplyArray(count: commands.count)
            for command in commands {
                if let command {
                    self.describe(command, executor)
                } else {
                    executor.out.writeReplyNullArray(version: executor.version)
                }
            }
            return .done
        } else if name.equals("docs") {
            let commands = arguments.count == 2 ? Command.allCases : named.compactMap { $0 }
            executor.out.writeReplyMap(count: commands.count, version: executor.version)
            for command in commands {
                executor.out.writeReplyBulk(command.name)
                executor.out.writeReplyMap(count: 1, version: executor.version)
                executor.out.writeReplyBulk("summary")
                executor.out.writeReplyBulk(command.spec.summary)
            }
            return .done
        }
        return name.equals("getkeys")
            ? self.getKeys(arguments, executor)
            : executor.fail(Self.unknownSubcommand(.command, name))
    }

    /// COMMAND GETKEYS: the keys that a command line names.
    private func getKeys(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        guard arguments.count >= 4 else {
            return executor.fail("ERR wrong number of arguments for 'command|getkeys' command")
        }
        let inner = arguments.dropping(2)
        guard let command = Command.named(inner[0]) else {
            return executor.fail("ERR Invalid command specified")
        }
        let spec = command.spec
        guard spec.firstKey > 0 else {
            return executor.fail("ERR The command has no key arguments")
        }
        guard inner.count == spec.arity || (spec.arity < 0 && inner.count >= -spec.arity) else {
            return executor.fail("ERR Invalid number of arguments specified for command")
        }
        let last = spec.lastKey < 0 ? inner.count + spec.lastKey : spec.lastKey
        let keys = Array(stride(from: spec.firstKey, through: last, by: spec.keyStep))
        executor.out.writeReplyArray(count: keys.count)
        for index in keys { executor.out.writeReplyBulk(inner[index]) }
        return .done
    }

    private func describe(_ command: Command, _ executor: CommandExecutor) {
        let spec = command.spec
        var flags: [String] = []
        switch spec.access {
        case .read: flags.append("readonly")
        case .write: flags.append("write")
        case .admin: flags.append("admin")
        case .open: flags.append("no_auth")
        case .user: break
        }
        if spec.isFast { flags.append("fast") }
        executor.out.writeReplyArray(count: 10)
        executor.out.writeReplyBulk(command.name)
        executor.out.writeReplyInteger(Int64(spec.arity))
        executor.out.writeReplySet(count: flags.count, version: executor.version)
        for flag in flags { executor.out.writeReplyBulk(flag) }
        for number in [spec.firstKey, spec.lastKey, spec.keyStep] {
            executor.out.writeReplyInteger(Int64(number))
        }
        // Categories, tips, key specifications and subcommands: none.
        executor.out.writeReplySet(count: 0, version: executor.version)
        for _ in 0..<3 { executor.out.writeReplyArray(count: 0) }
    }

    func info(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        let services = self.loop.services
        let use = services.engine.memoryUse
        let now = Clocks.monotonic().nanoseconds
        let uptime = (now - services.nodeDescription.startedAt.nanoseconds) / 1_000_000_000
        let sections: [(name: String, lines: [String])] = [
            (
                "Server",
                [
                    "redis_version:7.0.0", "redis_mode:standalone",
                    "prustdb_version:\(BuildInfo.version)", "os:Linux", "arch_bits:64",
                    "run_id:\(services.nodeDescription.nodeID)",
                    "tcp_port:\(services.nodeDescription.port)", "uptime_in_seconds:\(uptime)",
                ]
            ),
            ("Clients", ["connected_clients:\(services.metrics.connection.open.value)"]),
            (
                "Memory",
                [
                    "memtable_bytes:\(use.dirtyByteCount)", "cache_bytes:\(use.cleanByteCount)",
                    "evicted_keys:\(use.evictionCount)",
                ]
            ),
            (
                "Persistence",
                [
                    "loading:\(services.engine.state == .recovering ? 1 : 0)", "aof_enabled:1",
                    "log_appends:\(services.metrics.log.appends.value)",
                    "log_fsyncs:\(services.metrics.log.syncs.value)",
                ]
            ),
            (
                "Stats",
                ["total_connections_received:\(services.metrics.connection.accepted.value)"]
            ),
            ("Replication", ["role:master", "connected_slaves:0"]),
        ]
        var text = ""
        for section in sections where Self.isWanted(section.name, arguments) {
            text += (text.isEmpty ? "" : "\r\n") + "# \(section.name)\r\n"
            text += section.lines.map { $0 + "\r\n" }.joined()
        }
        executor.out.writeReplyVerbatim(text, version: executor.version)
        return .done
    }

    private static func isWanted(_ section: String, _ arguments: RequestArguments) -> Bool {
        guard arguments.count > 1 else { return true }
        return (1..<arguments.count).contains { index in
            guard arguments[index].count <= Self.wordByteCountMax else { return false }
            let wanted = String(decoding: arguments[index], as: UTF8.self).lowercased()
            return ["all", "default", "everything", section.lowercased()].contains(wanted)
        }
    }

    // MARK: Wrappers

    /// The levels that a client may ask for; one node answers all of them alike.
    private static let levels = ["eventual", "quorum", "all", "strong"]

    /// Longer arguments are no name of a level or a section.
    private static let wordByteCountMax = 32

    private static func level(_ bytes: UnsafeRawBufferPointer) -> String? {
        guard bytes.count <= Self.wordByteCountMax else { return nil }
        let name = String(decoding: bytes, as: UTF8.self).lowercased()
        return Self.levels.contains(name) ? name : nil
    }

    func at(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        guard let level = Self.level(arguments[1]) else {
            return executor.fail("ERR unknown level, expected eventual, quorum, all or strong")
        }
        guard arguments.count > 2 else {
            self.level = level
            return executor.ok()
        }
        let inner = arguments.dropping(2)
        guard !inner[0].equals("at") else {
            return executor.fail("ERR AT cannot be nested")
        }
        return self.execute(inner, executor)
    }

    func explain(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        var inner = arguments.dropping(1)
        var level = self.level
        if inner[0].equals("at"), inner.count > 2, let named = Self.level(inner[1]) {
            level = named
            inner = inner.dropping(2)
        }
        guard let command = Command.named(inner[0]), command.spec.firstKey == 1,
            command.spec.lastKey == 1
        else { return executor.fail("ERR EXPLAIN takes a command on one key") }
        if executor.out.writerIndex == executor.replyStart {
            executor.out.writeReplyMap(count: 8, version: executor.version)
            executor.out.writeReplyBulk("value")
        }
        let outer = executor.replyStart
        executor.replyStart = executor.out.writerIndex
        let disposition = self.execute(inner, executor)
        executor.replyStart = outer
        self.command = .explain
        guard disposition == .done else { return disposition }
        let isWrite = command.spec.access == .write
        self.writeReceipt(level: isWrite ? "strong" : level, executor)
        return .done
    }

    private func writeReceipt(level: String, _ executor: CommandExecutor) {
        let micros = (Clocks.monotonic().nanoseconds - self.startedAt.nanoseconds) / 1_000
        let node = self.loop.services.nodeDescription.nodeID
        executor.out.writeReplyBulk("level")
        executor.out.writeReplyBulk(level)
        executor.out.writeReplyBulk("version")
        executor.out.writeReplyBulk(executor.lastVersion.description)
        executor.out.writeReplyBulk("epoch")
        executor.out.writeReplyInteger(1)
        executor.out.writeReplyBulk("replicas")
        executor.out.writeReplyArray(count: 1)
        executor.out.writeReplyBulk(node)
        executor.out.writeReplyBulk("primary")
        executor.out.writeReplyBulk(node)
        executor.out.writeReplyBulk("cache")
        executor.out.writeReplyBulk(executor.wasCached ? "hit" : "miss")
        executor.out.writeReplyBulk("micros")
        executor.out.writeReplyInteger(micros)
    }
}
