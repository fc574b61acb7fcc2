import NIOCore
import PrustWire
import Testing

@Suite struct RESPCommandEncoderTests {
    static let numbers: [(number: Int64, wire: String)] = [
        (0, "$1\r\n0\r\n"), (9, "$1\r\n9\r\n"), (10, "$2\r\n10\r\n"), (-1, "$2\r\n-1\r\n"),
        (1_234_567_890, "$10\r\n1234567890\r\n"),
        (.max, "$19\r\n9223372036854775807\r\n"),
        (.min, "$20\r\n-9223372036854775808\r\n"),
    ]

    @Test(arguments: numbers)
    func numbersAreDecimal(number: Int64, wire: String) {
        var buffer = ByteBuffer()
        RESPCommandEncoder.argument(number, into: &buffer)
        #expect(String(buffer: buffer) == wire)
    }

    @Test func argumentsOfEveryForm() {
        var buffer = ByteBuffer()
        RESPCommandEncoder.begin(argumentCount: 12, into: &buffer)
        RESPCommandEncoder.argument("SET", into: &buffer)
        RESPCommandEncoder.argument([1, 13, 10] as [UInt8], into: &buffer)
        RESPCommandEncoder.argument("k\u{e9}".utf8, into: &buffer)
        RESPCommandEncoder.argument([] as [UInt8], into: &buffer)
        RESPCommandEncoder.argument(ByteBuffer(string: "slice"), into: &buffer)
        RESPCommandEncoder.argument(repeatElement(UInt8(ascii: "z"), count: 3), into: &buffer)
        let expected =
            "*12\r\n$3\r\nSET\r\n$3\r\n\u{1}\r\n\r\n$3\r\nk\u{e9}\r\n$0\r\n\r\n"
            + "$5\r\nslice\r\n$3\r\nzzz\r\n"
        #expect(String(buffer: buffer) == expected)
    }
}
