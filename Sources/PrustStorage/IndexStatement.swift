internal import CSQLite

/// A prepared statement, kept for the life of its connection.
final class IndexStatement {
    private let handle: OpaquePointer

    init(_ database: OpaquePointer, _ text: String) throws(IndexError) {
        var handle: OpaquePointer?
        let code = sqlite3_prepare_v3(
            database,
            text,
            -1,
            UInt32(SQLITE_PREPARE_PERSISTENT),
            &handle,
            nil
        )
        guard code == SQLITE_OK, let handle else { throw IndexCode.error(code) }
        self.handle = handle
    }

    deinit {
        sqlite3_finalize(self.handle)
    }

    /// Binds memory that lives as long as the statement; its contents may change between runs.
    func bind(_ index: Int32, fixed memory: UnsafeMutableRawBufferPointer) {
        sqlite3_bind_blob(self.handle, index, memory.baseAddress, Int32(memory.count), nil)
    }

    func bind(_ index: Int32, _ value: Int64) {
        sqlite3_bind_int64(self.handle, index, value)
    }

    /// Steps once; the code is `SQLITE_ROW`, `SQLITE_DONE` or an error.
    func step() -> Int32 { sqlite3_step(self.handle) }

    func reset() { sqlite3_reset(self.handle) }

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(self.handle, column) }

    /// The bytes of a column, valid until the next step.
    func bytes(_ column: Int32) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: sqlite3_column_blob(self.handle, column),
            count: Int(sqlite3_column_bytes(self.handle, column))
        )
    }
}
