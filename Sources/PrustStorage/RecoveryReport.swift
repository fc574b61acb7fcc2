/// Bytes of a segment that should be records and are not.
package struct CorruptRegion: Hashable, Sendable {
    package var segment: UInt32
    package var offset: UInt32
    package var byteCount: UInt64

    package init(segment: UInt32, offset: UInt32, byteCount: UInt64) {
        self.segment = segment
        self.offset = offset
        self.byteCount = byteCount
    }
}

/// What recovery found.
package struct RecoveryReport: Hashable, Sendable {
    /// The directory was empty, and a new storage was made in it.
    package var isNew = false
    package var segmentCount = 0
    /// Records replayed, or written to the index when it was rebuilt.
    package var recordCount: UInt64 = 0
    /// Bytes of the log that were read for that.
    package var byteCount: UInt64 = 0
    /// Damage that no crash explains: something that was durable is gone on this node.
    package var corruptRegions: [CorruptRegion] = []
    /// What a crash left of a group that nobody was told of, cut.
    package var tornTail: CorruptRegion?
    /// Records of the last group that were copied, since nothing proved that they were durable.
    package var rewrittenRecordCount = 0
    package var missingSegments: [UInt32] = []
    /// Why the index was made again, `nil` if it was not.
    package var indexRebuilt: String?
    /// The highest hybrid logical time that the index or the replayed records know of.
    package var newestHLC: UInt64 = 0

    package init() {}
}

/// How far recovery is, for the service manager's status line.
package struct RecoveryProgress: Hashable, Sendable {
    package enum Phase: Hashable, Sendable {
        case checking
        case replaying
        case rebuildingIndex
    }

    package var phase: Phase
    package var byteCount: UInt64
    package var byteCountTotal: UInt64
}
