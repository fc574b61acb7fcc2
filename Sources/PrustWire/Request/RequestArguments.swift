/// The arguments of one command, as places in the bytes that were received.
package struct RequestArguments {
    package struct Place: Equatable, Sendable {
        package var offset: UInt32
        package var byteCount: UInt32

        @inlinable
        package init(offset: UInt32, byteCount: UInt32) {
            self.offset = offset
            self.byteCount = byteCount
        }
    }

    @usableFromInline package let base: UnsafeRawPointer
    @usableFromInline package let places: UnsafeBufferPointer<Place>

    @inlinable
    package init(base: UnsafeRawPointer, places: UnsafeBufferPointer<Place>) {
        self.base = base
        self.places = places
    }

    @inlinable package var count: Int { self.places.count }

    /// The bytes of argument `index`; the name of the command is argument 0.
    @inlinable
    package subscript(index: Int) -> UnsafeRawBufferPointer {
        let place = self.places[index]
        return UnsafeRawBufferPointer(
            start: self.base + Int(place.offset),
            count: Int(place.byteCount)
        )
    }
}

extension RequestArguments {
    /// The arguments without the first `count`, of which there must be as many.
    package func dropping(_ count: Int) -> RequestArguments {
        RequestArguments(
            base: self.base,
            places: UnsafeBufferPointer(rebasing: self.places[count...])
        )
    }
}
