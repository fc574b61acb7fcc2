import Foundation
import Testing

/// Checks of the source text that neither the compiler nor `swift format` makes.
@Suite struct TidyTests {
    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Modules that each target may import; a target missing here fails the test.
    static let allowedImports: [String: Set<String>] = [
        "PrustCore": [],
        "PrustReplication": ["PrustCore"],
        "PrustStorage": ["PrustCore", "CChecksum", "CSQLite", "CZstd", "Glibc", "Synchronization"],
        "PrustWire": ["PrustCore", "NIOCore"],
        "PrustTLS": ["PrustCore", "COpenSSL", "Glibc", "NIOCore", "Synchronization"],
        "PrustTelemetry": ["PrustCore", "Glibc", "Synchronization"],
        "PrustSystemd": ["PrustCore", "CSystemd", "Glibc", "Logging", "Synchronization"],
        "PrustSimulator": [
            "PrustCore", "PrustReplication", "PrustStorage", "Glibc", "Synchronization",
        ],
        "PrustServer": [
            "PrustCore", "PrustStorage", "PrustWire", "PrustTLS", "PrustTelemetry", "PrustSystemd",
            "CNumber", "FoundationEssentials", "Glibc", "Logging", "NIOConcurrencyHelpers",
            "NIOCore", "NIOHTTP1", "NIOPosix", "Synchronization", "UnixSignals",
        ],
        "PrustDBClient": [
            "PrustCore", "PrustWire", "PrustTLS", "FoundationEssentials", "Glibc", "NIOCore",
            "NIOPosix", "Synchronization", "Yams",
        ],
        "prustdb": ["PrustServer", "ArgumentParser", "Glibc"],
        "prustadm": ["PrustServer", "ArgumentParser", "Glibc"],
        "prust-bench": [
            "PrustDBClient", "PrustCore", "PrustWire", "PrustTLS", "ArgumentParser", "Dispatch",
            "FoundationEssentials", "Glibc", "Histogram", "NIOCore", "NIOPosix", "Synchronization",
        ],
        "prust-example": ["PrustDBClient", "Glibc"],
        "prust-sim": ["PrustCore", "PrustReplication", "PrustSimulator", "ArgumentParser"],
    ]

    /// Targets of C, which have no Swift files.
    static let cTargets: Set = [
        "CChecksum", "CNumber", "COpenSSL", "CSQLite", "CSystemd", "CZstd",
    ]

    /// Targets that must stay deterministic.
    static let pureTargets: Set = ["PrustCore", "PrustReplication"]

    static let bannedInPureTargets = [
        ".random(in:", ".randomElement(", ".shuffled(", ".shuffle(", "Clock.now", ".now()", "Date(",
        "Task {", "Task(", "Task.", "await ", "print(", "getenv", "hashValue", "Hasher(",
    ]
    static let bannedEverywhere = [
        "@unchecked Sendable", "nonisolated(unsafe)", "Task.detached", "fatalError(", "FIXME",
        "@preconcurrency import",
    ]

    static func sourceFiles() throws -> [(target: String, path: String, lines: [String])] {
        let sources = Self.root.appending(path: "Sources")
        let targets = try FileManager.default.contentsOfDirectory(atPath: sources.path())
        var files: [(String, String, [String])] = []
        for target in targets.sorted() {
            let folder = sources.appending(path: target)
            let enumerator = FileManager.default.enumerator(atPath: folder.path())
            while let name = enumerator?.nextObject() as? String {
                guard name.hasSuffix(".swift") else { continue }
                let text = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
                files.append((target, "\(target)/\(name)", text.components(separatedBy: "\n")))
            }
        }
        return files
    }

    @Test func importsFollowTheLayering() throws {
        for file in try Self.sourceFiles() {
            let allowed = try #require(
                Self.allowedImports[file.target],
                "unknown target \(file.target)"
            )
            for line in file.lines {
                let words = line.split(separator: " ")
                guard let index = words.firstIndex(of: "import"), index < 2, words.count > index + 1
                else { continue }
                let module = String(words[index + 1])
                #expect(allowed.contains(module), "\(file.path): import \(module)")
            }
        }
    }

    @Test func bannedWords() throws {
        for file in try Self.sourceFiles() {
            let banned =
                Self.bannedEverywhere
                + (Self.pureTargets.contains(file.target) ? Self.bannedInPureTargets : [])
            for (number, line) in file.lines.enumerated() {
                let code = line.components(separatedBy: "//")[0]
                if line.contains("tidy:allow") || code.contains("using: &") { continue }
                for word in banned where code.contains(word) {
                    Issue.record("\(file.path):\(number + 1): \(word) is banned here")
                }
            }
        }
    }

    @Test func sizes() throws {
        for file in try Self.sourceFiles() {
            #expect(file.lines.count <= 600, "\(file.path) has \(file.lines.count) lines")
            var start: (line: Int, indent: Int)?
            for (number, line) in file.lines.enumerated() {
                let indent = line.prefix { $0 == " " }.count
                let words = line.split(separator: " ")
                if start == nil, words.contains("func") || line.contains(" init("),
                    line.hasSuffix("{")
                {
                    start = (number, indent)
                } else if let open = start, indent == open.indent,
                    line.trimmingCharacters(in: .whitespaces) == "}"
                {
                    let length = number - open.line + 1
                    #expect(
                        length <= 60,
                        "\(file.path):\(open.line + 1): function of \(length) lines"
                    )
                    start = nil
                }
            }
        }
    }

    /// Everything that can be looked up in a dashboard is explained in the operator's book.
    @Test func metricsAreDocumented() throws {
        let book = try String(
            contentsOf: Self.root.appending(path: "Docs/ops/monitor.md"),
            encoding: .utf8
        )
        for file in try Self.sourceFiles() where file.target == "PrustServer" {
            for line in file.lines {
                for part in line.components(separatedBy: "\"").dropFirst()
                where part.hasPrefix("prustdb_") && !part.contains(":") {
                    let isThere = book.contains(part)
                    #expect(isThere, "\(file.path): \(part) is not in monitor.md")
                }
            }
        }
    }

    /// Every fixed bound is named in a test, which stands at it and one past it.
    @Test func limitsAreTested() throws {
        let limits = Self.root.appending(path: "Sources/PrustCore/Limits.swift")
        let names = try String(contentsOf: limits, encoding: .utf8)
            .components(separatedBy: "static let ").dropFirst()
            .compactMap { $0.split(separator: " ").first.map(String.init) }
        let tests = Self.root.appending(path: "Tests")
        var text = ""
        let enumerator = FileManager.default.enumerator(atPath: tests.path())
        while let name = enumerator?.nextObject() as? String {
            guard name.hasSuffix(".swift"), !name.contains("TidyTests") else { continue }
            text += try String(contentsOf: tests.appending(path: name), encoding: .utf8)
        }
        for name in names {
            let isThere = text.contains(name)
            #expect(isThere, "no test names Limits.\(name)")
        }
    }

    @Test func targetsAreKnown() throws {
        let sources = Self.root.appending(path: "Sources")
        for name in try FileManager.default.contentsOfDirectory(atPath: sources.path()) {
            let isKnown = Self.cTargets.contains(name) || Self.allowedImports[name] != nil
            #expect(isKnown, "unknown target \(name)")
        }
    }
}
