import Glibc
import PrustCore
import PrustSimulator
import PrustStorage
import Testing

@Suite struct PosixFileSystemTests {
    /// Runs `body` in a new directory that is gone afterwards.
    static func inDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/prustdb-storage-XXXXXX".utf8CString)
        let path = try #require(
            template.withUnsafeMutableBufferPointer { buffer in
                buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
            }
        )
        defer { Self.remove(path) }
        try body(path)
    }

    private static func remove(_ path: String) {
        let fileSystem = PosixFileSystem()
        for name in (try? fileSystem.list(path)) ?? [] {
            if unlink("\(path)/\(name)") != 0 { Self.remove("\(path)/\(name)") }
        }
        rmdir(path)
    }

    @Test func filesAndDirectories() throws {
        try Self.inDirectory { directory in
            let fileSystem = PosixFileSystem()
            let path = "\(directory)/a"
            let file = try fileSystem.open(path, .create)
            #expect(throws: FileError(operation: "open", path: path, code: EEXIST)) {
                try fileSystem.open(path, .create)
            }
            try file.write(all: [1, 2, 3], at: 0)
            try [4, 5].withUnsafeBytes { (left: UnsafeRawBufferPointer) in
                try file.write(gather: [left, left], at: 3)
            }
            try file.syncData()
            try file.sync()
            #expect(try file.size() == 3 + 2 * 16)
            try file.truncate(to: 2)
            try file.allocate(from: 0, byteCount: 10)
            #expect(
                try fileSystem.contents(of: path, byteCountMax: 100) == [1, 2]
                    + Array(repeating: 0, count: 8)
            )
            #expect(try fileSystem.contents(of: path, byteCountMax: 1) == [1])
            try fileSystem.makeDirectory("\(directory)/b")
            try fileSystem.makeDirectory("\(directory)/b")
            try fileSystem.rename(path, to: "\(directory)/c")
            try fileSystem.syncDirectory(directory)
            #expect(try fileSystem.list(directory) == ["b", "c"])
            #expect(try fileSystem.freeByteCount(directory) > 0)
            try fileSystem.unlink("\(directory)/c")
            #expect(throws: FileError(operation: "unlink", path: "\(directory)/c", code: ENOENT)) {
                try fileSystem.unlink("\(directory)/c")
            }
        }
    }

    @Test func errorsNameOperationPathAndReason() {
        let error = FileError(operation: "write", path: "segments/0000000001.seg", code: ENOSPC)
        #expect(
            "\(error)" == "write segments/0000000001.seg: No space left on device (ENOSPC)"
        )
        #expect("\(FileError(operation: "open", path: "x", code: 99))".hasSuffix("(errno 99)"))
    }

    @Test func oneLockHolder() throws {
        try Self.inDirectory { directory in
            let fileSystem = PosixFileSystem()
            var first: (any File)? = try fileSystem.open("\(directory)/LOCK", .createOrOpen)
            #expect(try first?.lock() == true)
            let second = try fileSystem.open("\(directory)/LOCK", .createOrOpen)
            #expect(try second.lock() == false)
            first = nil
            #expect(try second.lock() == true)
        }
    }

    /// Transfers that come up short go on with the rest; interruptions do not count.
    @Test func shortTransfersGoOn() throws {
        var calls: [Int] = []
        let answers = [3, -1, 2, 5, 0]
        let done = try SystemCall.repeatUntilDone("read", "x", byteCount: 12) { done in
            calls.append(done)
            errno = EINTR
            return answers[calls.count - 1]
        }
        #expect(done == 10)
        #expect(calls == [0, 3, 3, 5, 10])
        #expect(throws: FileError(operation: "write", path: "x", code: EIO)) {
            try SystemCall.repeatUntilDone("write", "x", byteCount: 2) { _ in
                errno = EIO
                return -1
            }
        }
    }

    @Test func aStoreOnARealDisk() throws {
        try Self.inDirectory { directory in
            let fileSystem = PosixFileSystem()
            let options = Fixture.options(segmentByteCount: 64 * 1024)
            for round in 0..<3 {
                let store = try SynchronousStore(
                    directory: "\(directory)/data",
                    fileSystem: fileSystem,
                    options: options
                )
                for number in 0..<100 {
                    if round > 0 {
                        let value = try store.get(Fixture.key(number))
                        #expect(value == Fixture.noise(900, seed: UInt64(number + round - 1)))
                    }
                    let value = Fixture.noise(900, seed: UInt64(number + round))
                    try store.put(Fixture.key(number), value)
                    if number % 10 == 9 { try store.commit() }
                }
                try store.sweep()
                #expect(try store.storage.index.verify() == [])
                #expect(
                    throws: StorageError.locked(path: "\(directory)/data/LOCK", holder: getpid())
                ) {
                    try SynchronousStore(
                        directory: "\(directory)/data",
                        fileSystem: fileSystem,
                        options: options
                    )
                }
                try store.close()
            }
        }
    }
}
