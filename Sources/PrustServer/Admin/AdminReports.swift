/// What `GET /v1/status` and `prustadm status` say about a node.
package struct StatusReport: Codable, Equatable, Sendable {
    package enum State: String, Codable, Sendable {
        case recovering
        case serving
        case stopping
        /// An fsync failed: nothing is acknowledged until the log is open again.
        case logFailed = "log-failed"
        /// Reads are served, writes are refused until there is room.
        case diskFull = "disk-full"
    }

    package struct Storage: Codable, Equatable, Sendable {
        /// Live keys, an estimate.
        package var keys: Int
        package var segments: Int
        /// Bytes of the data directory's segments and index.
        package var bytes: Int
        package var freeBytes: Int?
        /// Log sequence number up to which everything is on disk.
        package var durableSequence: UInt64

        package init(
            keys: Int,
            segments: Int,
            bytes: Int,
            freeBytes: Int?,
            durableSequence: UInt64
        ) {
            self.keys = keys
            self.segments = segments
            self.bytes = bytes
            self.freeBytes = freeBytes
            self.durableSequence = durableSequence
        }
    }

    package struct Replication: Codable, Equatable, Sendable {
        package var nodes: Int
        /// As it was asked for; copies that exist are at most as many as nodes.
        package var factor: Int
        /// Nodes that may fail without a loss of service at level strong.
        package var toleratedFailures: Int
        /// One sentence for people.
        package var note: String

        /// What a cluster of so many nodes can stand.
        package init(nodes: Int, factor: Int) {
            let copies = max(1, min(nodes, factor))
            self.nodes = nodes
            self.factor = factor
            self.toleratedFailures = (copies - 1) / 2
            if self.toleratedFailures > 0 {
                self.note = "\(copies) copies: \(self.toleratedFailures) may fail"
            } else if copies == 2 {
                self.note = "two copies: the failure of one node stops strong and quorum"
            } else {
                self.note = "one copy: if this node fails, its data is away until it is back"
            }
        }
    }

    package struct Recovery: Codable, Equatable, Sendable {
        package var recordsReplayed: Int
        package var tailBytesCut: Int
        package var corruptRecords: Int
        /// Why the index was built again, if it was.
        package var indexRebuilt: String?
        package var milliseconds: Int

        package init(
            recordsReplayed: Int,
            tailBytesCut: Int,
            corruptRecords: Int,
            indexRebuilt: String?,
            milliseconds: Int
        ) {
            self.recordsReplayed = recordsReplayed
            self.tailBytesCut = tailBytesCut
            self.corruptRecords = corruptRecords
            self.indexRebuilt = indexRebuilt
            self.milliseconds = milliseconds
        }
    }

    package var version: String
    package var state: State
    package var nodeID: String
    package var storageID: String
    package var clusterID: String
    package var listen: String
    package var advertise: String
    package var uptimeSeconds: Int
    package var connections: Int
    package var storage: Storage
    package var replication: Replication
    package var recovery: Recovery?
    /// Seconds since 1970 at which the node's certificate ends.
    package var certificateNotAfter: Int64

    package init(
        version: String,
        state: State,
        nodeID: String,
        storageID: String,
        clusterID: String,
        listen: String,
        advertise: String,
        uptimeSeconds: Int,
        connections: Int,
        storage: Storage,
        replication: Replication,
        recovery: Recovery?,
        certificateNotAfter: Int64
    ) {
        self.version = version
        self.state = state
        self.nodeID = nodeID
        self.storageID = storageID
        self.clusterID = clusterID
        self.listen = listen
        self.advertise = advertise
        self.uptimeSeconds = uptimeSeconds
        self.connections = connections
        self.storage = storage
        self.replication = replication
        self.recovery = recovery
        self.certificateNotAfter = certificateNotAfter
    }
}

/// One bound of the node, and how near it is.
package struct LimitReport: Codable, Equatable, Sendable {
    package enum Unit: String, Codable, Sendable {
        case bytes
        case count
        case milliseconds
    }

    package var name: String
    package var value: Int
    package var unit: Unit
    /// How much of it is used now, where that can be counted.
    package var used: Int?
    /// The setting that changes it; `nil` when it is fixed.
    package var setting: String?

    package init(name: String, value: Int, unit: Unit, used: Int? = nil, setting: String? = nil) {
        self.name = name
        self.value = value
        self.unit = unit
        self.used = used
        self.setting = setting
    }

    /// The bounds that are fixed in the program.
    package static let fixed: [LimitReport] = FixedLimits.all
}

/// What a reload did.
package struct ReloadReport: Codable, Equatable, Sendable {
    package var changes: [Settings.Change]
    /// Whether new connections see another certificate than before.
    package var certificateChanged: Bool
    package var certificateNotAfter: Int64

    package init(
        changes: [Settings.Change],
        certificateChanged: Bool,
        certificateNotAfter: Int64
    ) {
        self.changes = changes
        self.certificateChanged = certificateChanged
        self.certificateNotAfter = certificateNotAfter
    }
}

/// One line of `prustadm doctor`.
package struct DoctorFinding: Codable, Equatable, Sendable {
    package enum Status: String, Codable, Sendable {
        case ok
        case warn
        case fail
    }

    package var check: String
    package var status: Status
    package var message: String
    /// What to do about it.
    package var advice: String?

    package init(check: String, status: Status, message: String, advice: String? = nil) {
        self.check = check
        self.status = status
        self.message = message
        self.advice = advice
    }
}
