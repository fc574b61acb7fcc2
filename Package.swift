// swift-tools-version: 6.2
import PackageDescription

// Settings of every target. Do not write settings per target by hand.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
]
let pure = strict + [.strictMemorySafety()]

let nio = "swift-nio"
func nioProduct(_ name: String) -> Target.Dependency { .product(name: name, package: nio) }
let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let argumentParser = Target.Dependency.product(
    name: "ArgumentParser",
    package: "swift-argument-parser"
)

/// A target that is deterministic and imports nothing but other targets of its kind.
func pureTarget(_ name: String, imports: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: imports, swiftSettings: pure)
}

/// A target that does input and output.
func adaptor(_ name: String, imports: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: imports, swiftSettings: strict)
}

func program(_ name: String, imports: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: imports, swiftSettings: strict)
}

func tests(_ name: String, imports: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: imports, swiftSettings: strict)
}

func systemLibrary(_ name: String, pkgConfig: String, package: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([package])])
}

let package = Package(
    name: "prustdb",
    products: [
        .library(name: "PrustDBClient", targets: ["PrustDBClient"]),
        .executable(name: "prustdb", targets: ["prustdb"]),
        .executable(name: "prustadm", targets: ["prustadm"]),
        .executable(name: "prust-bench", targets: ["prust-bench"]),
        .executable(name: "prust-sim", targets: ["prust-sim"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
    ],
    targets: [
        systemLibrary("CSystemd", pkgConfig: "libsystemd", package: "libsystemd-dev"),
        systemLibrary("COpenSSL", pkgConfig: "openssl", package: "libssl-dev"),
        systemLibrary("CZstd", pkgConfig: "libzstd", package: "libzstd-dev"),
        systemLibrary("CSQLite", pkgConfig: "sqlite3", package: "libsqlite3-dev"),
        .target(name: "CChecksum"),
        .target(name: "CNumber"),

        pureTarget("PrustCore"),
        pureTarget("PrustReplication", imports: ["PrustCore"]),
        adaptor("PrustStorage", imports: ["PrustCore", "CZstd", "CSQLite", "CChecksum"]),
        adaptor("PrustWire", imports: ["PrustCore", nioProduct("NIOCore")]),
        adaptor(
            "PrustTLS",
            imports: ["PrustCore", "COpenSSL", nioProduct("NIOCore")]
        ),
        adaptor("PrustTelemetry", imports: ["PrustCore"]),
        adaptor("PrustSystemd", imports: ["PrustCore", "CSystemd", log]),
        adaptor("PrustSimulator", imports: ["PrustCore", "PrustReplication", "PrustStorage"]),
        adaptor(
            "PrustServer",
            imports: [
                "CNumber", "PrustCore", "PrustStorage", "PrustWire", "PrustTLS", "PrustTelemetry",
                "PrustSystemd", log, nioProduct("NIOCore"), nioProduct("NIOPosix"),
                nioProduct("NIOHTTP1"), nioProduct("NIOConcurrencyHelpers"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ]
        ),
        adaptor(
            "PrustDBClient",
            imports: [
                "PrustCore", "PrustWire", "PrustTLS", nioProduct("NIOCore"),
                nioProduct("NIOPosix"), .product(name: "Yams", package: "Yams"),
            ]
        ),

        program("prustdb", imports: ["PrustServer", argumentParser]),
        program("prustadm", imports: ["PrustServer", argumentParser]),
        program(
            "prust-bench",
            imports: [
                "PrustDBClient", "PrustCore", "PrustWire", nioProduct("NIOCore"),
                nioProduct("NIOPosix"), argumentParser,
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ]
        ),
        program(
            "prust-sim",
            imports: ["PrustSimulator", "PrustCore", "PrustReplication", argumentParser]
        ),
        program("prust-example", imports: ["PrustDBClient"]),

        tests("TidyTests", imports: []),
        tests("PrustCoreTests", imports: ["PrustCore"]),
        tests("PrustReplicationTests", imports: ["PrustReplication", "PrustCore"]),
        tests(
            "PrustSimulatorTests",
            imports: ["PrustSimulator", "PrustReplication", "PrustCore"]
        ),
        tests("PrustStorageTests", imports: ["PrustStorage", "PrustSimulator", "PrustCore"]),
        tests("PrustWireTests", imports: ["PrustWire", "PrustCore", nioProduct("NIOCore")]),
        tests(
            "PrustTLSTests",
            imports: [
                "PrustTLS", "PrustCore", nioProduct("NIOCore"), nioProduct("NIOEmbedded"),
                nioProduct("NIOPosix"),
            ]
        ),
        tests("PrustTelemetryTests", imports: ["PrustTelemetry", "PrustCore"]),
        tests("PrustSystemdTests", imports: ["PrustSystemd", "PrustCore", log]),
        tests(
            "PrustServerTests",
            imports: [
                "PrustServer", "PrustStorage", "PrustSimulator", "PrustCore", "PrustWire",
                "PrustTLS", "PrustTelemetry", "PrustSystemd", log, nioProduct("NIOCore"),
                nioProduct("NIOEmbedded"),
                nioProduct("NIOPosix"), nioProduct("NIOConcurrencyHelpers"),
            ]
        ),
        tests(
            "PrustDBClientTests",
            imports: [
                "PrustDBClient", "PrustWire", "PrustCore", nioProduct("NIOCore"),
                nioProduct("NIOPosix"),
            ]
        ),
        tests(
            "PrustBenchTests",
            imports: [
                "prust-bench", "PrustDBClient", "PrustWire", "PrustCore", nioProduct("NIOCore"),
                nioProduct("NIOPosix"),
            ]
        ),
    ]
)
