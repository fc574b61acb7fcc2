import FoundationEssentials
import FuzzTargets
import Glibc

// Runs every file of a corpus once through its target: `fuzz-replay TARGET FILE...`.
//
// The name of a file is written before it runs, so that the last line says which one it was when
// the process dies of it.

func complain(_ message: String) -> Never {
    let line = Array("fuzz-replay: \(message)\n".utf8)
    _ = write(STDERR_FILENO, line, line.count)
    exit(2)
}

let arguments = CommandLine.arguments.dropFirst()
guard let name = arguments.first, let target = FuzzTarget(rawValue: name) else {
    complain("the target is one of " + FuzzTarget.allCases.map(\.rawValue).joined(separator: ", "))
}
for path in arguments.dropFirst() {
    guard let bytes = try? Data(contentsOf: URL(filePath: path)) else {
        complain("\(path) cannot be read")
    }
    print(path)
    fflush(nil)
    // The memory ends where the input ends, as in libFuzzer.
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    copy.copyBytes(from: bytes)
    target.run(UnsafeRawBufferPointer(copy))
    copy.deallocate()
}
