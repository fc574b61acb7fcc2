import Glibc
import PrustServer

/// Standard input, output and error, and the terminal behind them.
enum Console {
    static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 }

    static func print(_ text: String) {
        Swift.print(text)
    }

    /// Prints text that ends with a newline already.
    static func write(_ text: String) {
        Swift.print(text, terminator: "")
    }

    /// Prints JSON that ends with a newline already.
    static func print(json: [UInt8]) {
        Self.write(String(decoding: json, as: UTF8.self))
    }

    static func note(_ text: String) {
        Self.write(text + "\n", to: STDERR_FILENO)
    }

    static func exit(_ status: ExitStatus) -> Never {
        fflush(nil)
        Glibc.exit(status.rawValue)
    }

    /// Says on one line why, and ends.
    static func fail(_ status: ExitStatus, _ message: String) -> Never {
        let line = message.split(whereSeparator: \.isNewline).joined(separator: "; ")
        fflush(nil)
        Self.write("prustadm: \(line)\n", to: STDERR_FILENO)
        Glibc.exit(status.rawValue)
    }

    /// Asks before something that cannot be taken back.
    static func confirm(_ question: String, isConfirmed: Bool) throws {
        if isConfirmed { return }
        guard Self.isInteractive else {
            throw CommandFailure(.needsConfirmation, "\(question) Say --yes to do it.")
        }
        Self.write("\(question) [y/N] ", to: STDERR_FILENO)
        let answer = readLine(strippingNewline: true)?.lowercased()
        guard answer == "y" || answer == "yes" else {
            throw CommandFailure(.needsConfirmation, "nothing was done")
        }
    }

    /// Reads a new password twice from the terminal, without echo.
    static func newPassword() throws -> String {
        let first = try Self.secret("New password: ")
        guard try Self.secret("The same again: ") == first else {
            throw CommandFailure(.usage, "the two passwords differ: nothing was done")
        }
        return first
    }

    private static func secret(_ prompt: String) throws -> String {
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else {
            throw CommandFailure(.failed, "standard input is no terminal")
        }
        var silent = settings
        silent.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
            Self.write("\n", to: STDERR_FILENO)
        }
        Self.write(prompt, to: STDERR_FILENO)
        guard let line = readLine(strippingNewline: true) else {
            throw CommandFailure(.failed, "no password was given")
        }
        return line
    }

    /// The first line of a file, or of standard input for `-`.
    static func password(file: String) throws -> String {
        if file == "-" {
            guard let line = readLine(strippingNewline: true) else {
                throw CommandFailure(.usage, "standard input holds no password")
            }
            return line
        }
        let bytes = try TextFile.read(file)
        let line = bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        guard let text = String(validating: line, as: UTF8.self), !text.isEmpty else {
            throw CommandFailure(.usage, "\(file): expected a password in UTF-8 on the first line")
        }
        return text
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
