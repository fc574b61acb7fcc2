import FuzzTargets

/// What libFuzzer calls with every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func runOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
    fuzzReplyParser(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}
