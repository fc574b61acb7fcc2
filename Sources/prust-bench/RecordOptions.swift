import ArgumentParser
import PrustDBClient

extension RecordFormat: ExpressibleByArgument {}

/// The file, and how its records become keys; the same for `load` and `verify`.
struct RecordOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The file, - for standard input.", valueName: "file"))
    var file: String

    @Option(help: "deb822 (Debian's indexes), jsonl (an object a line) or csv (RFC 4180).")
    var format: RecordFormat

    @Option(
        name: .customLong("key"),
        help: ArgumentHelp(
            "Field of the key; when given several times, the values are joined by ':'.",
            valueName: "field"
        )
    )
    var keyFields: [String]

    @Option(help: "What all keys begin with.")
    var prefix = ""

    @Option(help: "Connections, 1 to 1,000.")
    var connections = 16

    @Option(help: "Commands in flight on each connection, 1 to 10,000.")
    var pipeline = 16

    @Option(help: "Event loops, 1 to 64.")
    var threads = 1

    @Option(help: "Records to skip at the beginning of the file.")
    var skip = 0

    @Option(help: "Refused records after which the work ends.")
    var maxErrors = 100

    @Option(
        help: ArgumentHelp(
            "How long to try to reach the node again when a connection is lost, and how long to"
                + " wait for a reply, then 1s at least.",
            valueName: "time"
        )
    )
    var retry = DurationArgument(.seconds(30))

    @Flag(help: "Print the report as JSON.")
    var json = false

    func validate() throws {
        guard (1...1_000).contains(self.connections) else {
            throw ValidationError("--connections must be 1 to 1,000")
        }
        guard (1...10_000).contains(self.pipeline) else {
            throw ValidationError("--pipeline must be 1 to 10,000")
        }
        guard (1...64).contains(self.threads) else {
            throw ValidationError("--threads must be 1 to 64")
        }
        guard self.skip >= 0, self.maxErrors >= 0 else {
            throw ValidationError("--skip and --max-errors must not be negative")
        }
        guard self.prefix.utf8.count <= 1_024 else {
            throw ValidationError("--prefix is longer than 1,024 bytes")
        }
    }

    func settings(target: Target, judge: @escaping Lane.Judge) -> LaneSystem.Settings {
        LaneSystem.Settings(
            target: target,
            connectionCount: self.connections,
            pipelineDepth: self.pipeline,
            threadCount: self.threads,
            patience: self.retry.duration.timeAmount,
            silenceMax: SilenceWatch.bound(retry: self.retry.duration),
            refusedCountMax: self.maxErrors,
            judge: judge
        )
    }
}
