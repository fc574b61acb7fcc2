import Glibc

/// Planted faults, by which `scripts/fuzz self-test` proves that the machinery finds each kind.
///
/// The faults stand behind a prefix that only coverage feedback reaches in time.
package func fuzzPlanted(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.starts(with: "bug!".utf8) else { return }
    switch getenv("PRUSTDB_FUZZ_PLANT").map({ String(cString: $0) }) {
    case "property": check(bytes.count == 0, "planted")
    case "trap": _ = [UInt8](bytes)[bytes.count]
    case "overread": sink(bytes.baseAddress.map { ($0 + bytes.count).load(as: UInt8.self) })
    case "hang": while sink(nil) {}
    case "memory":
        var held: [[UInt8]] = []
        while sink(nil) { held.append(Array(repeating: 1, count: 16 * 1024 * 1024)) }
    default: break
    }
}

/// Keeps the optimizer from removing what looks useless.
@inline(never)
@discardableResult
private func sink(_ value: UInt8?) -> Bool {
    value == 0x77 || getpid() != 0
}
