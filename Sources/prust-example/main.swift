// The README's first steps, line by line as they stand there, and then a tour of the client. Both
// want the node that `scripts/run` starts, and the root of the project as the current directory.

// snippet: begin
import PrustDBClient

let client = try await Client.connect(
    "127.0.0.1:8000",
    credentials: ClientCredentials(
        ca: ".prustdb/client/ca.crt",
        certificate: ".prustdb/client/client.crt",
        key: ".prustdb/client/client.key"
    )
)
try await client.set("greeting", "hello")
print(try await client.getString("greeting") ?? "nothing")
await client.close()
// snippet: end

await Tour.run()
