package import PrustCore

/// How a storage directory is used.
package struct StorageOptions: Sendable {
    /// What an operator may set ``segmentByteCount`` to; tests go below.
    package static let segmentByteCountRange = 1024 * 1024...1024 * 1024 * 1024

    /// The identity of the directory if it is a new one.
    package var newStorageID: StorageID
    /// The time that a new directory takes down as its birth.
    package var createdAt: WallTime
    /// A segment is full when the next group would go beyond this.
    package var segmentByteCount = 64 * 1024 * 1024
    /// Zeros are written so far ahead of the log's end, so that the sync of a group has no
    /// metadata to write; 0 turns this off.
    package var extensionByteCount = 4 * 1024 * 1024
    /// The zstd level, `nil` for none.
    package var compressionLevel: Int32? = 1
    /// Shorter values are stored as they are.
    package var compressionByteCountMin = 512
    /// A group is committed at this size at the latest, unless a single record is larger.
    package var groupByteCountMax = 8 * 1024 * 1024
    package var indexCacheByteCount = 64 * 1024 * 1024
    /// Segments that the reader keeps open.
    package var readHandleCountMax = 128
    /// A longer tail of the log goes straight into the index instead of to the sink.
    package var replayByteCountMax: UInt64 = 512 * 1024 * 1024
    /// Opens although segments are gone; what was in them is lost on this node.
    package var allowMissingSegments = false
    /// Does not open when records that were durable once are damaged.
    ///
    /// Otherwise they are reported, and what was written before them may be answered instead.
    package var refusesCorruption = false
    /// Throws the index away and makes it again from the segments.
    package var rebuildIndex = false

    package init(newStorageID: StorageID, createdAt: WallTime) {
        self.newStorageID = newStorageID
        self.createdAt = createdAt
    }
}
