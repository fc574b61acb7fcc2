import NIOCore
import PrustCore
import PrustTLS
import PrustTelemetry
import PrustWire

/// From the words of a command to what runs it: name, number of arguments, permission.
extension RESPSession {
    func execute(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        guard let command = Command.named(arguments[0]) else {
            self.loop.services.metrics.unknownCommands.add(1, shard: self.loop.index)
            self.command = .command
            if Self.isCrossProtocol(arguments[0]) {
                self.refuseCrossProtocol(executor)
                return .done
            }
            return executor.fail(Self.unknownCommand(arguments))
        }
        self.command = command
        let spec = command.spec
        guard arguments.count == spec.arity || (spec.arity < 0 && arguments.count >= -spec.arity)
        else {
            return executor.fail("ERR wrong number of arguments for '\(command.name)' command")
        }
        if spec.access != .open {
            guard let principal = self.principal else {
                let metrics = self.loop.services.metrics
                metrics.unauthenticatedCommands.add(1, shard: self.loop.index)
                return executor.fail("NOAUTH Authentication required.")
            }
            if let refusal = self.refusal(principal, command, spec, arguments) {
                self.deny(principal, command)
                return executor.fail(refusal)
            }
        }
        switch command {
        case .append, .dbsize, .decr, .decrby, .del, .exists, .expire, .expireat, .expiretime,
            .get, .getdel, .getex, .getrange, .getset, .incr, .incrby, .incrbyfloat, .mget, .mset,
            .persist, .pexpire, .pexpireat, .pexpiretime, .psetex, .pttl, .scan, .set, .setex,
            .setnx, .setrange, .strlen, .substr, .touch, .ttl, .type, .unlink:
            return executor.run(command, arguments)
        case .at, .auth, .client, .command, .config, .echo, .explain, .hello, .info, .ping,
            .quit, .reset, .select, .time:
            return self.runOwn(command, arguments, executor)
        }
    }

    /// Commands on the connection or the server rather than on keys.
    private func runOwn(
        _ command: Command,
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        switch command {
        case .at: return self.at(arguments, executor)
        case .explain: return self.explain(arguments, executor)
        case .auth: return self.auth(arguments, executor)
        case .hello: return self.hello(arguments, executor)
        case .client: return self.client(arguments, executor)
        case .command: return self.describeCommands(arguments, executor)
        case .config: return self.config(arguments, executor)
        case .info: return self.info(arguments, executor)
        case .ping: return self.ping(arguments, executor)
        case .echo:
            executor.out.writeReplyBulk(arguments[1])
            return .done
        case .quit:
            self.phase = .closing
            return executor.ok()
        case .reset: return self.reset(executor)
        case .select: return self.select(arguments, executor)
        default: return self.time(executor)
        }
    }

    // MARK: Permission

    private func refusal(
        _ principal: Principal,
        _ command: Command,
        _ spec: Command.Spec,
        _ arguments: RequestArguments
    ) -> String? {
        let verb: Verb
        switch spec.access {
        case .open, .user: return nil
        case .read: verb = .read
        case .write: verb = .write
        case .admin: verb = .admin
        }
        if verb == .write, Self.returnsValue(command, arguments) {
            let isReadable = principal.allows(.read, key: arguments[1])
            if !isReadable { return Self.noKey }
        }
        if principal.allows(verb) { return nil }
        // It counts the keys of others too.
        if command == .dbsize {
            return "NOPERM this user has no permissions to run the 'dbsize' command"
        }
        guard principal.allowsSome(verb), verb != .admin else {
            return "NOPERM this user has no permissions to run the '\(command.name)' command"
        }
        guard spec.firstKey > 0 else { return nil }
        let last = spec.lastKey < 0 ? arguments.count + spec.lastKey : spec.lastKey
        for index in stride(from: spec.firstKey, through: last, by: spec.keyStep)
        where !principal.allows(verb, key: arguments[index]) {
            return Self.noKey
        }
        return nil
    }

    private static let noKey =
        "NOPERM this user has no permissions to access one of the keys used as arguments"

    /// True for writing commands whose answer says what the value is or was, or how long.
    private static func returnsValue(_ command: Command, _ arguments: RequestArguments) -> Bool {
        switch command {
        case .getset, .getdel, .getex, .incr, .incrby, .incrbyfloat, .decr, .decrby, .append,
            .setrange:
            true
        case .set:
            (3..<max(arguments.count, 3)).contains {
                arguments[$0].equals("get") || arguments[$0].equals("ifeq")
            }
        default: false
        }
    }

    private func deny(_ principal: Principal, _ command: Command) {
        self.loop.services.metrics.count(command, .denied, loop: self.loop.index)
        self.loop.services.audit.record(
            AuditEvent(
                who: principal.name,
                method: principal.method,
                from: self.address,
                action: command.name,
                target: nil,
                outcome: .denied,
                reason: nil
            )
        )
    }

    /// Takes up changes of users and roles.
    func refreshAccess() {
        let generation = self.loop.services.access.generation
        guard generation != self.accessGeneration else { return }
        self.accessGeneration = generation
        guard let principal = self.principal else { return }
        self.principal = self.loop.services.access.table.refreshed(
            principal,
            serial: self.certificate?.serial
        )
    }

    func logInWithCertificate() {
        self.accessGeneration = self.loop.services.access.generation
        self.principal = nil
        guard let certificate = self.certificate else { return }
        guard case .client(let name) = certificate.identity else { return }
        self.principal = self.loop.services.access.table.principal(
            certificateName: name,
            serial: certificate.serial
        )
        let outcome: ConnectionMetrics.Login =
            self.principal == nil ? .unknownCertificate : .accepted
        self.loop.services.metrics.connection.logins[outcome]?.add()
        guard self.principal == nil else { return }
        self.loop.services.audit.record(
            AuditEvent(
                who: name,
                method: .certificate,
                from: self.address,
                action: "login",
                target: nil,
                outcome: .denied,
                reason: "no enabled user of this name, or revoked"
            )
        )
    }

    // MARK: Error texts of Redis

    private static func unknownCommand(_ arguments: RequestArguments) -> [UInt8] {
        var shown: [UInt8] = []
        for index in 1..<max(arguments.count, 1) where shown.count < 128 {
            shown.append(UInt8(ascii: "'"))
            shown += arguments[index].prefix(128 - shown.count + 1).prefix { $0 != 0 }
            shown += Array("' ".utf8)
        }
        return Array("ERR unknown command '".utf8) + arguments[0].prefix(128).prefix { $0 != 0 }
            + Array("', with args beginning with: ".utf8) + shown
    }

    static func unknownSubcommand(_ command: Command, _ name: UnsafeRawBufferPointer) -> [UInt8] {
        Array("ERR unknown subcommand '".utf8) + name.prefix(128).prefix { $0 != 0 }
            + Array("'. Try \(command.name.uppercased()) HELP.".utf8)
    }

    /// What a browser sends when a page makes it talk to a database: no client does.
    private static func isCrossProtocol(_ name: UnsafeRawBufferPointer) -> Bool {
        name.equals("post") || name.equals("host:")
    }

    /// Closes the connection at once, replies and all.
    private func refuseCrossProtocol(_ executor: CommandExecutor) {
        self.loop.services.metrics.connection.protocolErrors.add()
        self.loop.services.audit.record(
            AuditEvent(
                who: self.principal?.name ?? "unknown",
                method: self.principal?.method,
                from: self.address,
                action: "http-over-resp",
                target: nil,
                outcome: .denied,
                reason: "a browser was made to send commands"
            )
        )
        executor.out.clear()
        executor.replyStart = 0
        self.readyEnd = 0
        self.held.removeAll()
        self.phase = .closing
    }
}
