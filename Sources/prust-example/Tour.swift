import Glibc
import PrustDBClient

/// More of the client, with the credentials of the profile.
enum Tour {
    /// Makes the tour, or says on one line what is wrong and ends the program.
    static func run() async {
        do {
            try await Self.steps()
        } catch {
            print("prust-example: \(error)")
            exit(1)
        }
    }

    private static func steps() async throws(ClientError) {
        // The profile is what $PRUSTDB_PROFILE names, or ~/.config/prustdb/client.yaml.
        let client = try await Client.connect()

        let swapped = try await client.compareAndSet("greeting", expected: "hello", new: "goodbye")
        print("swapped: \(swapped)")

        try await client.increment("visits")
        print("visits: \(try await client.increment("visits", by: 2))")

        try await client.set("session:7", "alive", expiry: .after(.seconds(30)))
        print("session: \(try await client.timeToLive("session:7"))")

        for try await key in client.scan(match: "session:*") {
            print("key: \(String(decoding: key, as: UTF8.self))")
        }

        do {
            try await client.set("greeting", "hello again", deadline: .seconds(1))
        } catch  where error.outcome == .notApplied {
            print("not done, safe to repeat: \(error.code)")
        } catch {
            print("may have been done, read before you repeat: \(error.code)")
        }

        await client.close()
    }
}
