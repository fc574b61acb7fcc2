import FoundationEssentials
package import PrustCore
import PrustTLS

/// What was decided when the cluster was founded: `identity/cluster.json`.
///
/// The file is written last, so a directory that has it is founded completely.
package struct ClusterIdentity: Codable, Equatable, Sendable {
    package static let formatCurrent = 1

    package var format: Int
    /// 32 hexadecimal digits.
    package var clusterID: String
    /// 64 hexadecimal digits, as in the node's certificate.
    package var node: String
    /// Milliseconds since 1970.
    package var created: Int64
    package var partitionBits: Int
    package var replicationFactor: Int

    package var nodeID: NodeID? { Identifier256(hex: self.node).map { NodeID($0) } }
    package var createdAt: WallTime { WallTime(milliseconds: self.created) }

    /// Reads and checks the file of a data directory.
    package static func load(
        dataDirectory: String
    ) throws(FoundingError) -> ClusterIdentity {
        let path = DataDirectory(dataDirectory).cluster
        guard DataDirectory.exists(path) else {
            throw FoundingError(
                .notFounded,
                "\(dataDirectory) holds no node yet: run prustadm bootstrap"
            )
        }
        let identity: ClusterIdentity
        do {
            let bytes = try PrivateFile.read(path: path, byteCountMax: 64 * 1024)
            identity = try JSONDecoder().decode(Self.self, from: Data(bytes))
        } catch let error as TLSError {
            throw FoundingError(.file, error.message)
        } catch {
            throw FoundingError(.conflict, "\(path): \(JSONFault.message(error))")
        }
        guard identity.format == Self.formatCurrent else {
            throw FoundingError(
                .conflict,
                "\(path): format: expected \(Self.formatCurrent), found \(identity.format)"
            )
        }
        guard identity.nodeID != nil, Hex.decode(identity.clusterID)?.count == 16,
            (0...20).contains(identity.partitionBits),
            (1...7).contains(identity.replicationFactor)
        else {
            throw FoundingError(.conflict, "\(path): a value is out of its bounds")
        }
        return identity
    }
}
