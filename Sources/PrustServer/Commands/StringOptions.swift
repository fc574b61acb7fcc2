import PrustCore
import PrustWire

/// The options of SET and GETEX, read in Redis' order and with its rules of what goes together.
struct StringOptions {
    enum Condition {
        case always
        case ifAbsent
        case ifPresent
        case ifEqual(UnsafeRawBufferPointer)
        case ifVersion(Version)
    }

    /// How an expiry was given: a span or a moment, in seconds or milliseconds.
    enum Unit {
        case seconds
        case milliseconds
        case atSeconds
        case atMilliseconds
    }

    enum Failure: Error {
        case syntax
        case version
    }

    var condition = Condition.always
    var returnsOld = false
    var keepsExpiry = false
    var persists = false
    var expiry: (unit: Unit, argument: UnsafeRawBufferPointer)?

    private var isConditional: Bool {
        if case .always = self.condition { return false }
        return true
    }

    /// Reads the options from argument `first` on; `isGet` for GETEX, otherwise for SET.
    init(_ arguments: RequestArguments, from first: Int, isGet: Bool) throws(Failure) {
        var index = first
        while index < arguments.count {
            let option = arguments[index]
            let next = index + 1 < arguments.count ? arguments[index + 1] : nil
            if try self.takeFlag(option, isGet: isGet) {
                index += 1
            } else if let next, try self.takePair(option, next, isGet: isGet) {
                index += 2
            } else {
                throw .syntax
            }
        }
    }

    private mutating func takeFlag(
        _ option: UnsafeRawBufferPointer,
        isGet: Bool
    ) throws(Failure) -> Bool {
        if !isGet, option.equals("nx") {
            if case .ifAbsent = self.condition { return true }
            if self.isConditional { throw .syntax }
            self.condition = .ifAbsent
        } else if !isGet, option.equals("xx") {
            if case .ifPresent = self.condition { return true }
            if self.isConditional { throw .syntax }
            self.condition = .ifPresent
        } else if !isGet, option.equals("get") {
            self.returnsOld = true
        } else if !isGet, option.equals("keepttl") {
            if self.expiry != nil { throw .syntax }
            self.keepsExpiry = true
        } else if isGet, option.equals("persist") {
            if self.expiry != nil { throw .syntax }
            self.persists = true
        } else {
            return false
        }
        return true
    }

    private mutating func takePair(
        _ option: UnsafeRawBufferPointer,
        _ next: UnsafeRawBufferPointer,
        isGet: Bool
    ) throws(Failure) -> Bool {
        if !isGet, option.equals("ifeq") {
            if self.isConditional { throw .syntax }
            self.condition = .ifEqual(next)
            return true
        }
        if !isGet, option.equals("ifver") {
            if self.isConditional { throw .syntax }
            guard next.count <= Version.textByteCountMax,
                let version = Version(String(decoding: next, as: UTF8.self))
            else { throw .version }
            self.condition = .ifVersion(version)
            return true
        }
        let unit: Unit
        if option.equals("ex") {
            unit = .seconds
        } else if option.equals("px") {
            unit = .milliseconds
        } else if option.equals("exat") {
            unit = .atSeconds
        } else if option.equals("pxat") {
            unit = .atMilliseconds
        } else {
            return false
        }
        // Redis lets the same unit come twice, the last one counting, but not two units.
        if self.keepsExpiry || self.persists { throw .syntax }
        if let expiry = self.expiry, expiry.unit != unit { throw .syntax }
        self.expiry = (unit, next)
        return true
    }
}

/// Turns the expiry that a client gives into a moment.
enum Expiry {
    enum Failure: Error {
        case notAnInteger
        case invalid
    }

    /// The moment, in milliseconds since 1970, of an expiry that must be positive.
    static func moment(
        _ argument: UnsafeRawBufferPointer,
        unit: StringOptions.Unit,
        wall: WallTime
    ) throws(Failure) -> Int64 {
        guard let number = DecimalInteger.parse(argument) else { throw .notAnInteger }
        guard number > 0 else { throw .invalid }
        return try Self.moment(number, unit: unit, wall: wall)
    }

    /// The moment of any number, which may lie in the past.
    static func moment(
        _ number: Int64,
        unit: StringOptions.Unit,
        wall: WallTime
    ) throws(Failure) -> Int64 {
        var result = number
        if unit == .seconds || unit == .atSeconds {
            guard number <= Int64.max / 1_000, number >= Int64.min / 1_000 else { throw .invalid }
            result = number * 1_000
        }
        if unit == .seconds || unit == .milliseconds {
            let (sum, didOverflow) = result.addingReportingOverflow(wall.milliseconds)
            guard !didOverflow else { throw .invalid }
            result = sum
        }
        return result
    }
}

extension UnsafeRawBufferPointer {
    /// Compares with a lower-case ASCII word, ignoring case.
    @inline(__always)
    func equals(_ word: StaticString) -> Bool {
        guard self.count == word.utf8CodeUnitCount else { return false }
        for index in 0..<self.count {
            var byte = self[index]
            if byte >= 65, byte <= 90 { byte |= 32 }
            if byte != word.utf8Start[index] { return false }
        }
        return true
    }

    /// Compares bytes.
    @inline(__always)
    func equals(_ other: UnsafeRawBufferPointer) -> Bool {
        guard self.count == other.count else { return false }
        for index in 0..<self.count where self[index] != other[index] { return false }
        return true
    }
}
