package import PrustCore

/// What one member asks of another, about one partition.
package enum Request: Hashable, Sendable {
    /// Rule 10.
    case prepare(Ballot)
    /// Rule 13.
    case accept(Ballot, KeyID, Register)
    /// Rule 14, several keys at once.
    case read(Ballot, [KeyID])
    /// Rule 14, several keys at once.
    case confirm(Ballot, [KeyVersion])
    /// Rules 23 and 25.
    case query(KeyID)
    /// Rule 23.
    case store(KeyID, Register)
    /// Rule 27.
    case acceptDescriptor(Ballot, Descriptor)
    /// Rule 30: a page of records from a key ID on.
    case pull(from: KeyID)
    /// Rule 31.
    case queryReconciled(Ballot)
}

package struct KeyVersion: Hashable, Sendable {
    package var key: KeyID
    package var version: Version

    package init(key: KeyID, version: Version) {
        self.key = key
        self.version = version
    }
}

package struct KeyRegister: Hashable, Sendable {
    package var key: KeyID
    package var register: Register

    package init(key: KeyID, register: Register) {
        self.key = key
        self.register = register
    }
}

/// What came of a request.
package enum Answer: Hashable, Sendable {
    /// The promise is given; what was accepted as the next descriptor, and the newest time seen.
    case promised(accepted: AcceptedDescriptor?, hlc: UInt64)
    /// The record is stored, or was.
    case accepted
    /// A higher record is there.
    case superseded(Version)
    /// In the order of the keys asked for.
    case registers([Register])
    /// For each key whether the version is exactly the one asked for.
    case confirmed([Bool])
    /// The record, and the lowest term that a write must have.
    case state(Register, floor: Ballot)
    case stored
    /// The term of the record is below what this member has promised.
    case termTooLow
    case descriptorAccepted
    /// Records in the order of their keys; `next` is `nil` after the last.
    case page([KeyRegister], next: KeyID?)
    case reconciled(epoch: UInt32)
    /// Another epoch, or not for this member: the receiver's descriptor comes with the message.
    case wrongEpoch
    /// A higher ballot was promised.
    case outbid(Ballot)
    /// Nothing is wrong, but this ballot was never promised here.
    case notPromised
}

/// A descriptor that a member has accepted but not learned (rule 3).
package struct AcceptedDescriptor: Hashable, Sendable {
    package var ballot: Ballot
    package var descriptor: Descriptor

    package init(ballot: Ballot, descriptor: Descriptor) {
        self.ballot = ballot
        self.descriptor = descriptor
    }
}

/// A message between two members of a partition; each carries its sender's descriptor (rule 7).
package struct Message: Hashable, Sendable {
    package enum Body: Hashable, Sendable {
        case request(RoundID, Request)
        case answer(RoundID, Answer)
        /// Hints, repair and eventual writes (rules 24 and 26).
        case put(KeyID, Register)
        /// The sender's descriptor is chosen (rule 29).
        case learn
    }

    package var descriptor: Descriptor
    package var body: Body

    package init(descriptor: Descriptor, body: Body) {
        self.descriptor = descriptor
        self.body = body
    }
}

/// Never used twice: neither in one run of a member nor in a later one (rule 8).
package struct RoundID: Hashable, Comparable, Sendable {
    package var boot: UInt32
    package var number: UInt64

    package init(boot: UInt32, number: UInt64) {
        self.boot = boot
        self.number = number
    }

    package static func < (left: Self, right: Self) -> Bool {
        left.boot != right.boot ? left.boot < right.boot : left.number < right.number
    }
}
