import NIOCore
import PrustCore
import PrustStorage
import PrustWire

/// Commands that read values, and change no more than the expiry.
extension CommandExecutor {
    func get(_ arguments: RequestArguments) -> Disposition {
        self.withKey(arguments[1], needs: .value) { cursor in
            self.writeValue(cursor)
            return .done
        }
    }

    func strlen(_ arguments: RequestArguments) -> Disposition {
        self.withKey(arguments[1], needs: .existence) { cursor in
            self.integer(
                cursor.live.map { Int64(cursor.table.entries[$0].valueByteCount) } ?? 0
            )
        }
    }

    func mget(_ arguments: RequestArguments) -> Disposition {
        if self.progress == 0 {
            self.out.writeReplyArray(count: arguments.count - 1)
            self.progress = 1
        }
        while self.progress < arguments.count {
            let key = arguments[self.progress]
            var isRead = false
            let disposition = self.withKey(key, needs: .value) { cursor in
                isRead = true
                self.writeValue(cursor)
                return .done
            }
            if disposition == .cold {
                self.prefetch(arguments, from: self.progress + 1, needs: .value)
                return .cold
            }
            guard isRead else { return .done }
            guard self.out.writerIndex - self.replyStart <= self.replyByteCountMax else {
                return self.fail(
                    "ERR the reply exceeds limits.output-buffer (\(self.replyByteCountMax) bytes)"
                )
            }
            self.progress += 1
        }
        return .done
    }

    /// Names more keys that a command will need soon, so that they are loaded together.
    ///
    /// Whatever is written to the reply meanwhile, such as a refusal, is taken back.
    func prefetch(_ arguments: RequestArguments, from first: Int, needs need: Need) {
        let start = self.replyStart
        self.replyStart = self.out.writerIndex
        defer {
            self.out.moveWriterIndex(to: self.replyStart)
            self.replyStart = start
        }
        for index in first..<min(first + 63, arguments.count) {
            guard arguments[index].count <= Limits.keyByteCountMax else { return }
            _ = self.withKey(arguments[index], needs: need) { _ in .done }
        }
    }

    func getdel(_ arguments: RequestArguments) -> Disposition {
        self.withKey(arguments[1], needs: .value) { cursor in
            guard cursor.live != nil else { return self.null() }
            self.writeValue(cursor)
            _ = self.delete(&cursor)
            return .done
        }
    }

    func getex(_ arguments: RequestArguments) -> Disposition {
        let options: StringOptions
        do throws(StringOptions.Failure) {
            options = try StringOptions(arguments, from: 2, isGet: true)
        } catch {
            return self.syntaxError()
        }
        return self.withKey(arguments[1], needs: .value) { cursor in
            guard cursor.live != nil else { return self.null() }
            var moment: Int64?
            if let expiry = options.expiry {
                do throws(Expiry.Failure) {
                    moment = try Expiry.moment(
                        expiry.argument,
                        unit: expiry.unit,
                        wall: self.wall
                    )
                } catch {
                    return self.expiryError(error, name: "getex")
                }
            } else if options.persists, cursor.expiresAt != 0 {
                moment = 0
            }
            self.writeValue(cursor)
            if let moment { _ = self.changeExpiry(&cursor, to: moment) }
            return .done
        }
    }

    /// Writes the record anew with another expiry; a moment that is past deletes the key.
    ///
    /// False, with an error written, if the engine refuses.
    func changeExpiry(_ cursor: inout Cursor, to moment: Int64) -> Bool {
        if moment != 0, moment <= self.wall.milliseconds { return self.delete(&cursor) }
        let value = cursor.value
        let copy = self.scratch.filled(byteCount: value.count, with: value)
        return self.put(
            &cursor,
            EntryTable.ValueParts(UnsafeRawBufferPointer(copy)),
            expiresAt: moment
        )
    }

    func getrange(_ arguments: RequestArguments) -> Disposition {
        guard let start = DecimalInteger.parse(arguments[2]),
            let end = DecimalInteger.parse(arguments[3])
        else { return self.notAnInteger() }
        return self.withKey(arguments[1], needs: .value) { cursor in
            let value = cursor.value
            let count = Int64(value.count)
            let isBackwards = start < 0 && end < 0 && start > end
            var first = start < 0 ? max(count &+ start, 0) : start
            var last = end < 0 ? max(count &+ end, 0) : end
            first = max(first, 0)
            last = min(last, count - 1)
            guard !isBackwards, first <= last, count > 0 else {
                self.out.writeReplyBulk(UnsafeRawBufferPointer(start: nil, count: 0))
                return .done
            }
            self.out.writeReplyBulk(
                UnsafeRawBufferPointer(rebasing: value[Int(first)...Int(last)])
            )
            return .done
        }
    }
}
