import PrustCore

/// One request to the members of a descriptor and what they have answered so far.
struct Round: Sendable {
    enum Kind: Sendable {
        case prepare
        case accept(KeyID)
        case read([KeyID])
        case confirm([KeyID])
        case descriptor(Descriptor)
        case reconciled
        case query(OperationID)
        case store(OperationID)
        case pull
    }

    let kind: Kind
    let request: Request
    /// Places of the descriptor in which this round counts.
    let targets: MemberSet
    var answered = MemberSet()
    /// Who said yes; for keys of a confirmation see ``confirmed``.
    var agreed = MemberSet()
    /// Who has a higher record.
    var superseded = MemberSet()
    var highest = Version.zero
    /// For each key of a confirmation or a read.
    var keys: [KeyCount] = []
    var sendCount = 1

    func isPull(of targets: MemberSet) -> Bool {
        if case .pull = self.kind { return self.targets == targets }
        return false
    }

    struct KeyCount: Sendable {
        var confirmed = MemberSet()
        var highest = Register.none
        var isMixed = false
        var isDone = false
    }

    init(kind: Kind, request: Request, targets: MemberSet) {
        self.kind = kind
        self.request = request
        self.targets = targets
        switch kind {
        case .read(let keys), .confirm(let keys):
            self.keys = Array(repeating: KeyCount(), count: keys.count)
        case .prepare, .accept, .descriptor, .reconciled, .query, .store, .pull: break
        }
    }
}
