extension String {
    /// The text with each control character replaced, so that what somebody sent can stand in one
    /// line of a message, a log or a terminal.
    package var printable: String {
        guard self.unicodeScalars.contains(where: { $0.isControl }) else { return self }
        return String(self.unicodeScalars.map { $0.isControl ? "?" : Character($0) })
    }
}

extension Unicode.Scalar {
    fileprivate var isControl: Bool { self.properties.generalCategory == .control }
}
