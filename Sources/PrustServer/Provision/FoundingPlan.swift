/// What a founding will make.
package struct FoundingPlan: Equatable, Sendable {
    package var dataDirectory: String
    /// Where the first client's credentials go; `nil` makes none.
    package var clientDirectory: String?
    package var listen: Endpoint
    package var advertise: Endpoint
    package var partitionBits: Int
    package var replicationFactor: Int
    /// The first user, with the role `admin`.
    package var clientName: String
    /// The machine's name, for the certificate; empty for none.
    package var hostName: String

    package init(
        dataDirectory: String,
        clientDirectory: String?,
        listen: Endpoint,
        advertise: Endpoint,
        partitionBits: Int = Settings.defaults.cluster.partitionBits,
        replicationFactor: Int = Settings.defaults.cluster.replicationFactor,
        clientName: String = "admin",
        hostName: String = Founding.hostName()
    ) {
        self.dataDirectory = dataDirectory
        self.clientDirectory = clientDirectory
        self.listen = listen
        self.advertise = advertise
        self.partitionBits = partitionBits
        self.replicationFactor = replicationFactor
        self.clientName = clientName
        self.hostName = hostName
    }

    /// Names in the node's certificate, each once.
    package var dnsNames: [String] {
        let hosts = ["localhost", self.hostName, self.advertise.host, self.listen.host]
        var names: [String] = []
        for host in hosts where Endpoint.isName(Array(host.utf8)) && !names.contains(host) {
            if !Endpoint(host: host, port: 0).isNumeric { names.append(host) }
        }
        return names
    }

    /// Addresses in the node's certificate, each once.
    package var ipAddresses: [String] {
        var addresses = ["127.0.0.1", "::1"]
        for endpoint in [self.advertise, self.listen]
        where endpoint.isNumeric && !endpoint.isWildcard && !addresses.contains(endpoint.host) {
            addresses.append(endpoint.host)
        }
        return addresses
    }

    /// The plan in words, one step a line.
    package var description: [String] {
        var lines = [
            "found a new cluster in \(self.dataDirectory)",
            "make its CA: \(self.dataDirectory)/ca",
            "make this node's ID, key and certificate (\(self.dnsNames.joined(separator: ", ")), "
                + "\(self.ipAddresses.joined(separator: ", "))): \(self.dataDirectory)/identity",
            "fix 2^\(self.partitionBits) partitions and replication factor "
                + "\(self.replicationFactor)",
        ]
        if let directory = self.clientDirectory {
            lines.append(
                "make the user \(self.clientName) with the role admin, and its credentials: "
                    + directory
            )
        }
        return lines
    }
}

/// What a founding has made.
package struct FoundingReport: Codable, Equatable, Sendable {
    /// `false` when the directory was founded before; then nothing was changed.
    package var isNew: Bool
    package var clusterID: String
    package var nodeID: String
    package var dataDirectory: String
    package var clientDirectory: String?
    package var clientName: String
    package var advertise: String
    /// Seconds since 1970 at which the node's certificate ends.
    package var certificateNotAfter: Int64
}

extension Endpoint {
    /// Whether the host is an address and no name.
    package var isNumeric: Bool {
        self.host.contains(":") || self.host.utf8.allSatisfy { (48...57).contains($0) || $0 == 46 }
    }
}
