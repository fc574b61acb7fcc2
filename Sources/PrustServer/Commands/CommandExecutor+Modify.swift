import CNumber
import PrustCore
import PrustStorage
import PrustWire

/// Commands that compute a value from the old one.
extension CommandExecutor {
    func append(_ arguments: RequestArguments) -> Disposition {
        let suffix = arguments[2]
        return self.withKey(arguments[1], needs: .value) { cursor in
            let old = cursor.value
            let copy = self.scratch.filled(byteCount: old.count, with: old)
            let value = EntryTable.ValueParts(UnsafeRawBufferPointer(copy), suffix)
            guard self.put(&cursor, value, expiresAt: cursor.expiresAt) else { return .done }
            return self.integer(Int64(value.byteCount))
        }
    }

    func setrange(_ arguments: RequestArguments) -> Disposition {
        guard let offset = DecimalInteger.parse(arguments[2]) else { return self.notAnInteger() }
        guard offset >= 0 else { return self.fail("ERR offset is out of range") }
        let patch = arguments[3]
        return self.withKey(arguments[1], needs: .value) { cursor in
            let old = cursor.value
            guard patch.count > 0 else { return self.integer(Int64(old.count)) }
            guard offset <= Int64(Limits.valueByteCountMax - patch.count) else {
                return self.fail(
                    "ERR string exceeds maximum allowed size (limit value-bytes, "
                        + "\(Limits.valueByteCountMax))"
                )
            }
            let byteCount = max(old.count, Int(offset) + patch.count)
            let copy = self.scratch.filled(byteCount: byteCount, with: old)
            if let source = patch.baseAddress, let target = copy.baseAddress {
                (target + Int(offset)).copyMemory(from: source, byteCount: patch.count)
            }
            let value = EntryTable.ValueParts(UnsafeRawBufferPointer(copy))
            guard self.put(&cursor, value, expiresAt: cursor.expiresAt) else { return .done }
            return self.integer(Int64(byteCount))
        }
    }

    func increment(_ arguments: RequestArguments, by amount: Int64) -> Disposition {
        self.withKey(arguments[1], needs: .value) { cursor in
            var old: Int64 = 0
            if cursor.live != nil {
                guard let number = DecimalInteger.parse(cursor.value) else {
                    return self.notAnInteger()
                }
                old = number
            }
            let (sum, didOverflow) = old.addingReportingOverflow(amount)
            guard !didOverflow else {
                return self.fail("ERR increment or decrement would overflow")
            }
            return withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
                let start = DecimalInteger.write(sum, into: digits)
                let value = UnsafeRawBufferPointer(rebasing: digits[start...])
                guard
                    self.put(
                        &cursor,
                        EntryTable.ValueParts(value),
                        expiresAt: cursor.expiresAt
                    )
                else { return .done }
                return self.integer(sum)
            }
        }
    }

    func incrby(_ arguments: RequestArguments, isNegative: Bool) -> Disposition {
        guard let amount = DecimalInteger.parse(arguments[2]) else { return self.notAnInteger() }
        if isNegative {
            guard amount != .min else { return self.fail("ERR decrement would overflow") }
            return self.increment(arguments, by: -amount)
        }
        return self.increment(arguments, by: amount)
    }

    func incrbyfloat(_ arguments: RequestArguments) -> Disposition {
        let amount = arguments[2]
        return self.withKey(arguments[1], needs: .value) { cursor in
            let size = Int(PRUST_NUMBER_BYTE_COUNT_MAX)
            return withUnsafeTemporaryAllocation(byteCount: size, alignment: 1) { text in
                let old = cursor.value
                let count = prust_add_long_double(
                    old.baseAddress?.assumingMemoryBound(to: CChar.self),
                    old.count,
                    cursor.live == nil ? 0 : 1,
                    amount.baseAddress?.assumingMemoryBound(to: CChar.self),
                    amount.count,
                    text.baseAddress?.assumingMemoryBound(to: CChar.self),
                    size
                )
                guard count > 0 else {
                    return count == PRUST_NUMBER_NOT_A_NUMBER
                        ? self.fail("ERR value is not a valid float")
                        : self.fail("ERR increment would produce NaN or Infinity")
                }
                let value = UnsafeRawBufferPointer(rebasing: text[..<Int(count)])
                guard
                    self.put(
                        &cursor,
                        EntryTable.ValueParts(value),
                        expiresAt: cursor.expiresAt
                    )
                else { return .done }
                self.out.writeReplyBulk(value)
                return .done
            }
        }
    }
}
