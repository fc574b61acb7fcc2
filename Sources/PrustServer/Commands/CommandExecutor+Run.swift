package import PrustWire

extension CommandExecutor {
    /// Runs a command on keys; its number of arguments has been checked.
    package func run(_ command: Command, _ arguments: RequestArguments) -> Disposition {
        switch command {
        case .get: self.get(arguments)
        case .set: self.set(arguments)
        case .append: self.append(arguments)
        case .decr: self.increment(arguments, by: -1)
        case .decrby: self.incrby(arguments, isNegative: true)
        case .del, .unlink: self.del(arguments)
        case .exists, .touch: self.count(arguments)
        case .expire: self.expire(arguments, unit: .seconds, name: "expire")
        case .expireat: self.expire(arguments, unit: .atSeconds, name: "expireat")
        case .expiretime: self.timeToLive(arguments, as: .momentInSeconds)
        case .getdel: self.getdel(arguments)
        case .getex: self.getex(arguments)
        case .getrange, .substr: self.getrange(arguments)
        case .getset: self.getset(arguments)
        case .incr: self.increment(arguments, by: 1)
        case .incrby: self.incrby(arguments, isNegative: false)
        case .incrbyfloat: self.incrbyfloat(arguments)
        case .mget: self.mget(arguments)
        case .mset: self.mset(arguments)
        case .persist: self.persist(arguments)
        case .pexpire: self.expire(arguments, unit: .milliseconds, name: "pexpire")
        case .pexpireat: self.expire(arguments, unit: .atMilliseconds, name: "pexpireat")
        case .pexpiretime: self.timeToLive(arguments, as: .momentInMilliseconds)
        case .psetex: self.setex(arguments, unit: .milliseconds, name: "psetex")
        case .pttl: self.timeToLive(arguments, as: .lifeInMilliseconds)
        case .setex: self.setex(arguments, unit: .seconds, name: "setex")
        case .setnx: self.setnx(arguments)
        case .setrange: self.setrange(arguments)
        case .strlen: self.strlen(arguments)
        case .ttl: self.timeToLive(arguments, as: .lifeInSeconds)
        case .type: self.type(arguments)
        case .scan: self.scan(arguments)
        case .dbsize: self.dbsize()
        case .at, .auth, .client, .command, .config, .echo, .explain, .hello, .info, .ping,
            .quit, .reset, .select, .time:
            preconditionFailure("\(command.name) is run by the session")
        }
    }
}
