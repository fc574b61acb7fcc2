import Glibc
import PrustDBClient

/// The README's tour of the client.
func tour(_ address: String) async throws(ClientError) {
    // With the credentials of the profile: $PRUSTDB_PROFILE or ~/.config/prustdb/client.yaml.
    let client = try await Client.connect(address)

    try await client.set("greeting", "hello")
    print(try await client.getString("greeting") ?? "nothing")

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

do {
    try await tour(CommandLine.arguments.dropFirst().first ?? "127.0.0.1:8000")
} catch {
    print("prust-example: \(error)")
    exit(1)
}
