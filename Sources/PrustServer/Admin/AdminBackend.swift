import PrustCore

/// What the admin API asks of the running node.
package protocol AdminBackend: Sendable {
    func status() async -> StatusReport
    /// Bounds that settings change, with what is used of them; the fixed ones are added.
    func limits() async -> [LimitReport]
    func settings() async -> Settings.Loaded
    /// Reads settings, certificates and access again; all or nothing.
    func reload() async throws(AdminFault) -> ReloadReport
    func doctor() async -> [DoctorFinding]
}

/// Why a request to the admin API was not done.
package struct AdminFault: Error, Equatable, Sendable {
    /// HTTP status, 400 to 599.
    package var status: Int
    /// Stable, kebab-case.
    package var code: String
    package var message: String
    /// For 405: the methods that there are.
    package var allow: [String] = []

    package init(status: Int, code: String, message: String, allow: [String] = []) {
        self.status = status
        self.code = code
        self.message = message.printable
        self.allow = allow
    }

    /// The same refusal as the access store gave.
    package init(_ error: AccessError) {
        let status =
            switch error.code {
            case .notFound: 404
            case .exists, .lastAdmin, .inUse, .builtIn, .tooMany: 409
            case .invalid: 400
            case .storage: 500
            }
        self.init(status: status, code: error.code.rawValue, message: error.message)
    }
}

/// Who sends requests over one connection.
package struct AdminPeer: Sendable {
    package var principal: Principal
    /// Of the client certificate, `nil` without one.
    package var serial: String?
    /// Address, or `unix`.
    package var from: String

    package init(principal: Principal, serial: String? = nil, from: String) {
        self.principal = principal
        self.serial = serial
        self.from = from
    }
}

/// One request, its body complete and within the bound.
package struct AdminRequest: Sendable {
    package var method: String
    /// Without the query.
    package var path: String
    package var body: [UInt8]

    package init(method: String, path: String, body: [UInt8] = []) {
        self.method = method
        self.path = path
        self.body = body
    }
}

/// One answer.
package struct AdminResponse: Equatable, Sendable {
    package var status: Int
    package var contentType: String
    package var body: [UInt8]
    package var allow: [String]

    package static let jsonType = "application/json"

    package init(
        status: Int,
        contentType: String = Self.jsonType,
        body: [UInt8],
        allow: [String] = []
    ) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.allow = allow
    }

    /// An error as the admin API writes it: `{"error":{"code":...,"message":...}}`.
    package init(_ fault: AdminFault) {
        let detail = AdminErrorBody.Detail(code: fault.code, message: fault.message)
        self.init(
            status: fault.status,
            body: AdminJSON.encode(AdminErrorBody(error: detail)),
            allow: fault.allow
        )
    }
}

/// The body of an answer that is an error.
package struct AdminErrorBody: Codable, Equatable, Sendable {
    package struct Detail: Codable, Equatable, Sendable {
        package var code: String
        package var message: String
    }

    package var error: Detail
}
