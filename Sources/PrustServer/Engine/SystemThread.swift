import CNumber
import Glibc

/// A thread of our own for work that blocks, such as the log writer's wait for the disk.
///
/// Event loops must not block, and Swift's cooperative pool must not either.
package final class SystemThread: Sendable {
    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    private let handle: pthread_t

    /// Starts a thread; `nil` if the system has none left.
    ///
    /// The name shows in tools such as top; Linux keeps 15 bytes of it.
    package init?(name: String, body: @escaping @Sendable () -> Void) {
        var handle = pthread_t()
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        let result = pthread_create(
            &handle,
            nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                prust_name_thread(String(start.name.prefix(15)))
                start.body()
                return nil
            },
            start.toOpaque()
        )
        guard result == 0 else {
            start.release()
            return nil
        }
        self.handle = handle
    }

    /// Waits until the thread has ended.
    package func join() {
        pthread_join(self.handle, nil)
    }
}
