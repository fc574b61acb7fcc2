/// A checked expiry, as the commands take it.
enum ExpiryArgument {
    case milliseconds(Int64)
    case moment(unixMilliseconds: Int64)
    case keep

    init(_ expiry: Expiry) throws(ClientError) {
        switch expiry.kind {
        case .after(let duration):
            guard let count = duration.millisecondsRoundedUp, count > 0 else {
                throw ClientError(.invalidArgument, "an expiry after \(duration), not in future")
            }
            self = .milliseconds(count)
        case .at(let unixMilliseconds):
            guard unixMilliseconds > 0 else {
                throw ClientError(.invalidArgument, "an expiry before 1970")
            }
            self = .moment(unixMilliseconds: unixMilliseconds)
        case .keep:
            self = .keep
        }
    }

    /// Arguments that it takes in SET.
    var argumentCount: Int {
        switch self {
        case .milliseconds, .moment: 2
        case .keep: 1
        }
    }
}
