import NIOCore
import PrustCore
import PrustTelemetry
import PrustWire

/// AUTH and HELLO.
extension RESPSession {
    private static let mustLogIn =
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        + "AUTH <user> <pass> option can be used to authenticate the client and select "
        + "the RESP protocol version at the same time"
    private static let wrongPassword =
        "WRONGPASS invalid username-password pair or user is disabled."

    func auth(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        guard arguments.count <= 3 else { return executor.syntaxError() }
        let hasName = arguments.count == 3
        let name = hasName ? String(decoding: arguments[1], as: UTF8.self) : "default"
        self.logIn(name: name, password: arguments[hasName ? 2 : 1]) { session, executor in
            session.principal == nil ? executor.fail(Self.wrongPassword) : executor.ok()
        }
        return .deferred
    }

    /// Has a password checked, off this loop; `reply` then writes the answer.
    private func logIn(
        name: String,
        password: UnsafeRawBufferPointer,
        reply: @escaping (RESPSession, CommandExecutor) -> CommandExecutor.Disposition
    ) {
        let services = self.loop.services
        let table = services.access.table
        self.phase = .suspended
        services.verifier.verify(
            name: name,
            password: Array(password),
            address: self.address,
            table: table,
            now: Clocks.monotonic(),
            eventLoop: self.loop.eventLoop
        ).assumeIsolated().whenSuccess { outcome in
            // Who has left meanwhile has tried all the same.
            self.note(outcome, name: name, isKnown: table.hasUser(name))
            // Some outcomes are there at once, while this command still runs.
            self.loop.eventLoop.assumeIsolated().execute {
                guard case .suspended = self.phase else { return }
                self.loggedIn(outcome, reply: reply)
            }
        }
    }

    private func loggedIn(
        _ outcome: PasswordVerifier.Outcome,
        reply: (RESPSession, CommandExecutor) -> CommandExecutor.Disposition
    ) {
        if case .accepted(let principal) = outcome { self.principal = principal }
        let refusal = Self.refusal(outcome)
        self.finishSuspended { executor in
            if let refusal { return executor.fail(refusal) }
            return reply(self, executor)
        }
    }

    private static func refusal(_ outcome: PasswordVerifier.Outcome) -> String? {
        switch outcome {
        case .accepted: return nil
        case .refused: return Self.wrongPassword
        case .throttled(let wait):
            let seconds = max(wait / .seconds(1), 1)
            return "ERR too many attempts to log in (limit auth.attempts): wait \(Int(seconds)) s"
        case .busy: return "ERR too many passwords are being checked: try again"
        }
    }

    /// Counts an attempt to log in and gives it to the audit trail unless it was right.
    private func note(_ outcome: PasswordVerifier.Outcome, name: String, isKnown: Bool) {
        let login: ConnectionMetrics.Login
        let reason: String?
        switch outcome {
        case .accepted:
            login = .accepted
            reason = nil
        case .refused:
            login = .refused
            reason = "wrong name or password"
        case .throttled:
            login = .throttled
            reason = AuditEvent.throttled
        case .busy:
            login = .busy
            reason = "too many passwords are being checked"
        }
        self.loop.services.metrics.connection.logins[login]?.add()
        guard let reason else { return }
        self.loop.services.audit.record(
            AuditEvent(
                who: name,
                isKnown: isKnown,
                method: .password,
                from: self.address,
                action: AuditEvent.login,
                outcome: login == .busy ? .failed : .denied,
                reason: reason
            )
        )
    }

    func hello(
        _ arguments: RequestArguments,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        var version = self.version
        var credentials: (name: String, password: UnsafeRawBufferPointer)?
        var clientName: String?
        if arguments.count > 1 {
            guard let number = DecimalInteger.parse(arguments[1]) else {
                return executor.fail(
                    "ERR Protocol version is not an integer or out of range"
                )
            }
            guard let wanted = Int(exactly: number).flatMap({ RESPVersion(rawValue: $0) }) else {
                return executor.fail("NOPROTO unsupported protocol version")
            }
            version = wanted
        }
        var index = 2
        while index < arguments.count {
            let option = arguments[index]
            if option.equals("auth"), index + 2 < arguments.count {
                credentials = (
                    String(decoding: arguments[index + 1], as: UTF8.self), arguments[index + 2]
                )
                index += 3
            } else if option.equals("setname"), index + 1 < arguments.count {
                guard let name = Self.connectionName(arguments[index + 1]) else {
                    return executor.fail(Self.badConnectionName)
                }
                // As in Redis, in the order of the options: what comes before a wrong password or
                // option holds.
                if credentials == nil { self.clientName = name } else { clientName = name }
                index += 2
            } else {
                return executor.fail("ERR Syntax error in HELLO option '", option, "'")
            }
        }
        return self.hello(version, credentials, clientName, executor)
    }

    private func hello(
        _ version: RESPVersion,
        _ credentials: (name: String, password: UnsafeRawBufferPointer)?,
        _ clientName: String?,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        if let credentials {
            self.logIn(name: credentials.name, password: credentials.password) {
                session,
                executor in
                session.welcome(version, clientName, executor)
            }
            return .deferred
        }
        guard self.principal != nil else {
            self.loop.services.metrics.unauthenticatedCommands.add(1, shard: self.loop.index)
            return executor.fail(Self.mustLogIn)
        }
        return self.welcome(version, clientName, executor)
    }

    private func welcome(
        _ version: RESPVersion,
        _ clientName: String?,
        _ executor: CommandExecutor
    ) -> CommandExecutor.Disposition {
        self.version = version
        executor.version = version
        if let clientName { self.clientName = clientName }
        executor.out.writeReplyMap(count: 7, version: version)
        for (key, value) in [("server", "prustdb"), ("version", BuildInfo.version)] {
            executor.out.writeReplyBulk(key)
            executor.out.writeReplyBulk(value)
        }
        executor.out.writeReplyBulk("proto")
        executor.out.writeReplyInteger(Int64(version.rawValue))
        executor.out.writeReplyBulk("id")
        executor.out.writeReplyInteger(self.id)
        for (key, value) in [("mode", "standalone"), ("role", "master")] {
            executor.out.writeReplyBulk(key)
            executor.out.writeReplyBulk(value)
        }
        executor.out.writeReplyBulk("modules")
        executor.out.writeReplyArray(count: 0)
        return .done
    }

    func reset(_ executor: CommandExecutor) -> CommandExecutor.Disposition {
        self.version = .resp2
        executor.version = .resp2
        self.clientName = ""
        self.repliesMode = .on
        self.level = "strong"
        self.logInWithCertificate()
        executor.out.writeReplySimple("RESET")
        return .done
    }
}
