import PrustCore
import PrustStorage
import PrustWire

/// SET and its older forms.
extension CommandExecutor {
    func set(_ arguments: RequestArguments) -> Disposition {
        if arguments.count == 3 {
            let value = EntryTable.ValueParts(arguments[2])
            return self.withKey(arguments[1], needs: .nothing) { cursor in
                self.put(&cursor, value, expiresAt: 0, isBlind: true) ? self.ok() : .done
            }
        }
        do throws(StringOptions.Failure) {
            let options = try StringOptions(arguments, from: 3, isGet: false)
            return self.set(arguments, options, name: "set")
        } catch {
            switch error {
            case .syntax: return self.syntaxError()
            case .version: return self.fail("ERR invalid version, expected term-hlc-writer-c")
            }
        }
    }

    private func set(
        _ arguments: RequestArguments,
        _ options: StringOptions,
        name: String
    ) -> Disposition {
        var moment: Int64 = 0
        if let expiry = options.expiry {
            do throws(Expiry.Failure) {
                moment = try Expiry.moment(expiry.argument, unit: expiry.unit, wall: self.wall)
            } catch {
                return self.expiryError(error, name: name)
            }
        }
        let value = EntryTable.ValueParts(arguments[2])
        return self.withKey(arguments[1], needs: Self.need(of: options)) { cursor in
            self.set(&cursor, value, options, moment: moment)
        }
    }

    private static func need(of options: StringOptions) -> Need {
        if options.returnsOld { return .value }
        switch options.condition {
        case .ifEqual: return .value
        case .ifAbsent, .ifPresent, .ifVersion: return .existence
        case .always: return options.keepsExpiry ? .existence : .nothing
        }
    }

    private func set(
        _ cursor: inout Cursor,
        _ value: EntryTable.ValueParts,
        _ options: StringOptions,
        moment: Int64
    ) -> Disposition {
        if options.returnsOld { self.writeValue(cursor) }
        let isMet =
            switch options.condition {
            case .always: true
            case .ifAbsent: cursor.live == nil
            case .ifPresent: cursor.live != nil
            case .ifEqual(let expected): cursor.live != nil && cursor.value.equals(expected)
            case .ifVersion(let expected):
                cursor.live == nil ? expected == .zero : cursor.version == expected
            }
        guard isMet else { return options.returnsOld ? .done : self.null() }
        let expiresAt = options.keepsExpiry ? cursor.expiresAt : moment
        let isBlind = if case .always = options.condition { !options.returnsOld } else { false }
        guard self.put(&cursor, value, expiresAt: expiresAt, isBlind: isBlind) else {
            return .done
        }
        return options.returnsOld ? .done : self.ok()
    }

    func expiryError(_ error: Expiry.Failure, name: String) -> Disposition {
        switch error {
        case .notAnInteger: self.notAnInteger()
        case .invalid: self.fail("ERR invalid expire time in '\(name)' command")
        }
    }

    /// Writes the value under the cursor, or null.
    func writeValue(_ cursor: Cursor) {
        if cursor.live == nil {
            self.out.writeReplyNull(version: self.version)
        } else {
            self.out.writeReplyBulk(cursor.value)
        }
    }

    func setnx(_ arguments: RequestArguments) -> Disposition {
        let value = EntryTable.ValueParts(arguments[2])
        return self.withKey(arguments[1], needs: .existence) { cursor in
            guard cursor.live == nil else { return self.integer(0) }
            return self.put(&cursor, value, expiresAt: 0) ? self.integer(1) : .done
        }
    }

    func setex(
        _ arguments: RequestArguments,
        unit: StringOptions.Unit,
        name: String
    ) -> Disposition {
        do throws(Expiry.Failure) {
            let moment = try Expiry.moment(arguments[2], unit: unit, wall: self.wall)
            let value = EntryTable.ValueParts(arguments[3])
            return self.withKey(arguments[1], needs: .nothing) { cursor in
                self.put(&cursor, value, expiresAt: moment, isBlind: true) ? self.ok() : .done
            }
        } catch {
            return self.expiryError(error, name: name)
        }
    }

    func getset(_ arguments: RequestArguments) -> Disposition {
        let value = EntryTable.ValueParts(arguments[2])
        return self.withKey(arguments[1], needs: .value) { cursor in
            self.writeValue(cursor)
            _ = self.put(&cursor, value, expiresAt: 0)
            return .done
        }
    }

    func mset(_ arguments: RequestArguments) -> Disposition {
        guard arguments.count % 2 == 1 else {
            return self.fail("ERR wrong number of arguments for 'mset' command")
        }
        for index in stride(from: 1, to: arguments.count, by: 2) {
            guard arguments[index].count <= Limits.keyByteCountMax,
                arguments[index + 1].count <= Limits.valueByteCountMax
            else {
                return self.fail("ERR a key or value exceeds the limit key-bytes or value-bytes")
            }
        }
        for index in stride(from: 1, to: arguments.count, by: 2) {
            let value = EntryTable.ValueParts(arguments[index + 1])
            var isStored = false
            let disposition = self.withKey(arguments[index], needs: .nothing) { cursor in
                isStored = self.put(&cursor, value, expiresAt: 0, isBlind: true)
                return .done
            }
            guard isStored else { return disposition }
        }
        return self.ok()
    }
}
