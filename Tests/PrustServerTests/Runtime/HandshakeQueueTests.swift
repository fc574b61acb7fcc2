import NIOCore
import NIOEmbedded
import PrustServer
import Testing

@Suite struct HandshakeQueueTests {
    @Test func oneMoreDisplacesTheOldest() {
        let queue = HandshakeQueue(countMax: 3)
        let channels = (0..<6).map { _ in EmbeddedChannel() }
        var tickets: [HandshakeQueue.Ticket] = []
        for channel in channels[..<3] {
            let (ticket, displaced) = queue.add(channel)
            #expect(displaced == nil)
            tickets.append(ticket)
        }
        #expect(queue.count == 3)
        #expect(queue.add(channels[3]).displaced === channels[0])
        #expect(queue.count == 3)
        // One that is done makes room, and is not the oldest any more.
        queue.remove(tickets[1])
        #expect(queue.add(channels[4]).displaced == nil)
        #expect(queue.add(channels[5]).displaced === channels[2])
        // Those that were displaced are removed once more when they are closed.
        queue.remove(tickets[0])
        #expect(queue.count == 3)
    }

    @Test func emptyAgain() {
        let queue = HandshakeQueue(countMax: 1)
        for _ in 0..<1_000 {
            let (ticket, displaced) = queue.add(EmbeddedChannel())
            #expect(displaced == nil)
            queue.remove(ticket)
        }
        #expect(queue.count == 0)
    }
}
