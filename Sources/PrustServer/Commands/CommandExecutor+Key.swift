import PrustCore
import PrustStorage
import PrustWire

/// Commands on keys and their expiry.
extension CommandExecutor {
    func count(_ arguments: RequestArguments) -> Disposition {
        self.forEachKey(arguments) { cursor in
            if cursor.live != nil { self.tally += 1 }
            return true
        }
    }

    func del(_ arguments: RequestArguments) -> Disposition {
        self.forEachKey(arguments) { cursor in
            guard cursor.live != nil else { return true }
            guard self.delete(&cursor) else { return false }
            self.tally += 1
            return true
        }
    }

    /// Runs `body` on each key and answers the tally; false from it ends the command.
    private func forEachKey(
        _ arguments: RequestArguments,
        _ body: (inout Cursor) -> Bool
    ) -> Disposition {
        if self.progress == 0 {
            for index in 1..<arguments.count
            where arguments[index].count > Limits.keyByteCountMax {
                return self.fail(
                    "ERR a key exceeds the limit key-bytes (\(Limits.keyByteCountMax))"
                )
            }
            self.progress = 1
        }
        while self.progress < arguments.count {
            var goesOn = false
            let disposition = self.withKey(arguments[self.progress], needs: .existence) { cursor in
                goesOn = body(&cursor)
                return .done
            }
            if disposition == .cold {
                self.prefetch(arguments, from: self.progress + 1, needs: .existence)
                return .cold
            }
            guard goesOn else { return .done }
            self.progress += 1
        }
        return self.integer(self.tally)
    }

    func type(_ arguments: RequestArguments) -> Disposition {
        self.withKey(arguments[1], needs: .existence) { cursor in
            if cursor.live == nil {
                self.out.writeReplySimple("none")
            } else {
                self.out.writeReplySimple("string")
            }
            return .done
        }
    }

    enum TimeForm {
        case lifeInSeconds
        case lifeInMilliseconds
        case momentInSeconds
        case momentInMilliseconds
    }

    func timeToLive(_ arguments: RequestArguments, as form: TimeForm) -> Disposition {
        self.withKey(arguments[1], needs: .existence) { cursor in
            guard cursor.live != nil else { return self.integer(-2) }
            let moment = cursor.expiresAt
            guard moment != 0 else { return self.integer(-1) }
            let life = max(moment &- self.wall.milliseconds, 0)
            switch form {
            case .lifeInSeconds: return self.integer(Self.roundToSeconds(life))
            case .lifeInMilliseconds: return self.integer(life)
            case .momentInSeconds: return self.integer(Self.roundToSeconds(moment))
            case .momentInMilliseconds: return self.integer(moment)
            }
        }
    }

    /// Rounds half up; the largest expiry there is must not overflow.
    private static func roundToSeconds(_ milliseconds: Int64) -> Int64 {
        let (sum, didOverflow) = milliseconds.addingReportingOverflow(500)
        return didOverflow ? milliseconds / 1_000 : sum / 1_000
    }

    func persist(_ arguments: RequestArguments) -> Disposition {
        self.withKey(arguments[1], needs: .value) { cursor in
            guard cursor.live != nil, cursor.expiresAt != 0 else { return self.integer(0) }
            return self.changeExpiry(&cursor, to: 0) ? self.integer(1) : .done
        }
    }

    func expire(
        _ arguments: RequestArguments,
        unit: StringOptions.Unit,
        name: String
    ) -> Disposition {
        var flags = ExpireFlags()
        for index in 3..<max(arguments.count, 3) {
            guard flags.take(arguments[index]) else {
                return self.fail("ERR Unsupported option ", arguments[index])
            }
        }
        if flags.nx, flags.xx || flags.gt || flags.lt {
            return self.fail("ERR NX and XX, GT or LT options at the same time are not compatible")
        }
        if flags.gt, flags.lt {
            return self.fail("ERR GT and LT options at the same time are not compatible")
        }
        guard let number = DecimalInteger.parse(arguments[2]) else { return self.notAnInteger() }
        let moment: Int64
        do throws(Expiry.Failure) {
            moment = try Expiry.moment(number, unit: unit, wall: self.wall)
        } catch {
            return self.expiryError(error, name: name)
        }
        return self.withKey(arguments[1], needs: .value) { cursor in
            guard cursor.live != nil, flags.allow(moment, over: cursor.expiresAt) else {
                return self.integer(0)
            }
            // 0 stands for no expiry in a record; a moment that early is past anyway.
            let past = moment == 0 ? -1 : moment
            return self.changeExpiry(&cursor, to: past) ? self.integer(1) : .done
        }
    }

    private struct ExpireFlags {
        var nx = false
        var xx = false
        var gt = false
        var lt = false

        mutating func take(_ option: UnsafeRawBufferPointer) -> Bool {
            if option.equals("nx") {
                self.nx = true
            } else if option.equals("xx") {
                self.xx = true
            } else if option.equals("gt") {
                self.gt = true
            } else if option.equals("lt") {
                self.lt = true
            } else {
                return false
            }
            return true
        }

        func allow(_ moment: Int64, over present: Int64) -> Bool {
            if self.nx, present != 0 { return false }
            if self.xx, present == 0 { return false }
            if self.gt, present == 0 || moment <= present { return false }
            if self.lt, present != 0, moment >= present { return false }
            return true
        }
    }
}
