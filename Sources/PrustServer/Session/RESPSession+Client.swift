import NIOCore
import PrustCore
import PrustWire

/// PING, SELECT, CLIENT, CONFIG, TIME: the connection itself.
extension RESPSession {
    static let badConnectionName =
        "ERR Client names cannot contain spaces, newlines or special characters."

    /// A name of printable characters without a space, or `nil`.
    static func connectionName(_ bytes: UnsafeRawBufferPointer) -> String? {
        guard bytes.count <= 1_024, bytes.allSatisfy({ (33...126).contains($0) }) else {
            return nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    func ping(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        switch arguments.count {
        case 1: executor.out.writeReplySimple("PONG")
        case 2: executor.out.writeReplyBulk(arguments[1])
        default: return executor.fail("ERR wrong number of arguments for 'ping' command")
        }
        return .done
    }

    func select(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        guard let number = DecimalInteger.parse(arguments[1]) else {
            return executor.notAnInteger()
        }
        guard Int32(exactly: number) != nil else {
            return executor.fail(
                "ERR value is out of range, value must between -2147483648 and 2147483647"
            )
        }
        return number == 0 ? executor.ok() : executor.fail("ERR DB index is out of range")
    }

    func time(_ executor: CommandExecutor) -> CommandExecutor.Disposition {
        let milliseconds = executor.wall.milliseconds
        executor.out.writeReplyArray(count: 2)
        executor.out.writeReplyBulk(String(milliseconds / 1_000))
        executor.out.writeReplyBulk(String(milliseconds % 1_000 * 1_000))
        return .done
    }

    /// Answers what tools such as redis-benchmark ask for; the settings are for `prustadm`.
    func config(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        guard arguments[1].equals("get") else {
            return executor.fail(Self.unknownSubcommand(.config, arguments[1]))
        }
        guard arguments.count >= 3 else {
            return executor.fail("ERR wrong number of arguments for 'config|get' command")
        }
        let known = [
            ("appendonly", "yes"), ("appendfsync", "always"), ("databases", "1"), ("save", ""),
        ]
        let found = known.filter { pair in
            (2..<arguments.count).contains { index in
                GlobPattern.matches(Array(pair.0.utf8), Array(arguments[index]))
            }
        }
        executor.out.writeReplyMap(count: found.count, version: executor.version)
        for (name, value) in found {
            executor.out.writeReplyBulk(name)
            executor.out.writeReplyBulk(value)
        }
        return .done
    }

    func client(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        let name = arguments[1]
        func wrongCount(_ subcommand: String) -> CommandExecutor.Disposition {
            executor.fail("ERR wrong number of arguments for 'client|\(subcommand)' command")
        }
        if name.equals("id") {
            return arguments.count == 2 ? executor.integer(self.id) : wrongCount("id")
        } else if name.equals("getname") {
            guard arguments.count == 2 else { return wrongCount("getname") }
            if self.clientName.isEmpty { return executor.null() }
            executor.out.writeReplyBulk(self.clientName)
            return .done
        } else if name.equals("setname") {
            guard arguments.count == 3 else { return wrongCount("setname") }
            guard let text = Self.connectionName(arguments[2]) else {
                return executor.fail(Self.badConnectionName)
            }
            self.clientName = text
            return executor.ok()
        } else if name.equals("info") {
            guard arguments.count == 2 else { return wrongCount("info") }
            executor.out.writeReplyVerbatim(self.description + "\n", version: executor.version)
            return .done
        } else if name.equals("list") {
            guard arguments.count == 2 else { return executor.syntaxError() }
            return self.list(executor)
        } else if name.equals("setinfo") {
            guard arguments.count == 4 else { return wrongCount("setinfo") }
            return self.setInfo(arguments, executor)
        } else if name.equals("reply") {
            guard arguments.count == 3 else { return wrongCount("reply") }
            return self.setReplies(arguments[2], executor)
        } else if name.equals("no-evict") || name.equals("no-touch") {
            guard arguments.count == 3 else { return wrongCount("no-evict") }
            let isKnown = arguments[2].equals("on") || arguments[2].equals("off")
            return isKnown ? executor.ok() : executor.syntaxError()
        } else if name.equals("help") {
            return self.clientHelp(executor)
        }
        return executor.fail(Self.unknownSubcommand(.client, name))
    }

    private func list(_ executor: CommandExecutor) -> CommandExecutor.Disposition {
        let isAllowed = self.principal?.isAdmin == true
        self.loop.services.audit.record(
            AuditEvent(
                who: self.principal?.name ?? "unknown",
                method: self.principal?.method,
                from: self.address,
                action: "client|list",
                outcome: isAllowed ? .shown : .denied
            )
        )
        guard isAllowed else {
            self.loop.services.metrics.count(.client, .denied, loop: self.loop.index)
            return executor.fail(
                "NOPERM this user has no permissions to run the 'client|list' command"
            )
        }
        executor.deferred = .clientList
        return .deferred
    }

    private func setInfo(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        let attribute = arguments[2]
        guard attribute.equals("lib-name") || attribute.equals("lib-ver") else {
            return executor.fail("ERR Unrecognized option '", attribute, "'")
        }
        guard let text = Self.connectionName(arguments[3]) else {
            let shown = String(decoding: attribute, as: UTF8.self)
            return executor.fail(
                "ERR \(shown) cannot contain spaces, newlines or special characters."
            )
        }
        if attribute.equals("lib-name") {
            self.libraryName = text
        } else {
            self.libraryVersion = text
        }
        return executor.ok()
    }

    private func setReplies(
        _ mode: UnsafeRawBufferPointer,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        if mode.equals("on") {
            self.repliesMode = .on
            return executor.ok()
        } else if mode.equals("off") {
            self.repliesMode = .off
        } else if mode.equals("skip") {
            if self.repliesMode != .off { self.repliesMode = .skipNext }
        } else {
            return executor.syntaxError()
        }
        return .done
    }

    var description: String {
        "id=\(self.id) addr=\(self.address) name=\(self.clientName)"
            + " user=\(self.principal?.name ?? "") resp=\(self.version.rawValue)"
            + " lib-name=\(self.libraryName) lib-ver=\(self.libraryVersion) db=0"
    }

    private func clientHelp(_ executor: CommandExecutor) -> CommandExecutor.Disposition {
        let lines = [
            "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "GETNAME", "    Return the name of the current connection.",
            "ID", "    Return the ID of the current connection.",
            "INFO", "    Return information about the current connection.",
            "LIST", "    Return information about all connections (admin).",
            "REPLY (ON|OFF|SKIP)", "    Control the replies sent to the current connection.",
            "SETINFO (LIB-NAME|LIB-VER) <value>", "    Note the client's library.",
            "SETNAME <name>", "    Assign the name <name> to the current connection.",
            "HELP", "    Print this help.",
        ]
        executor.out.writeReplyArray(count: lines.count)
        for line in lines { executor.out.writeReplyBulk(line) }
        return .done
    }
}
