/// Ends the process when a property does not hold, which is what libFuzzer looks for.
///
/// Unlike `precondition` it prints its message in every build.
@inline(never)
func check(
    _ condition: Bool,
    _ message: @autoclosure () -> String,
    file: StaticString = #file,
    line: UInt = #line
) {
    guard !condition else { return }
    fatalError("property violated: \(message())", file: file, line: line)
}

/// Runs what must not throw.
func succeed<Result>(
    _ what: String,
    file: StaticString = #file,
    line: UInt = #line,
    _ body: () throws -> Result
) -> Result {
    do {
        return try body()
    } catch {
        fatalError("property violated: \(what): \(error)", file: file, line: line)
    }
}

/// Messages for people and logs are promised to be one line, so nothing from outside may break it.
func checkIsOneLine(_ message: String, file: StaticString = #file, line: UInt = #line) {
    let isClean = message.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    check(
        isClean,
        "a message with control characters: \(message.debugDescription)",
        file: file,
        line: line
    )
}
