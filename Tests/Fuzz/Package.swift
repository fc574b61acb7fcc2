// swift-tools-version: 6.2
import PackageDescription

// Fuzz targets; see Docs/ops/fuzzing.md. A package of its own, since its programs have no `main`
// without libFuzzer. The sources under test are links into the main package, so that they are in
// this package and their `package` declarations can be called. Settings and versions are those of
// the main Package.swift.
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

func nioProduct(_ name: String) -> Target.Dependency { .product(name: name, package: "swift-nio") }
let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

func adaptor(_ name: String, imports: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: imports, swiftSettings: strict)
}

func systemLibrary(_ name: String, pkgConfig: String, package: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([package])])
}

/// The programs that libFuzzer runs, one for each case of `FuzzTarget`.
let targetNames = [
    "request-parser", "glob", "reply-parser", "record", "recovery", "settings", "access", "admin",
    "certificate", "planted",
]

let package = Package(
    name: "fuzz",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        systemLibrary("CSystemd", pkgConfig: "libsystemd", package: "libsystemd-dev"),
        systemLibrary("COpenSSL", pkgConfig: "openssl", package: "libssl-dev"),
        systemLibrary("CZstd", pkgConfig: "libzstd", package: "libzstd-dev"),
        systemLibrary("CSQLite", pkgConfig: "sqlite3", package: "libsqlite3-dev"),
        .target(name: "CChecksum"),
        .target(name: "CNumber"),

        .target(name: "PrustCore", swiftSettings: pure),
        .target(name: "PrustReplication", dependencies: ["PrustCore"], swiftSettings: pure),
        adaptor("PrustStorage", imports: ["PrustCore", "CZstd", "CSQLite", "CChecksum"]),
        adaptor("PrustWire", imports: ["PrustCore", nioProduct("NIOCore")]),
        adaptor("PrustTLS", imports: ["PrustCore", "COpenSSL", nioProduct("NIOCore")]),
        adaptor("PrustTelemetry", imports: ["PrustCore"]),
        adaptor("PrustSystemd", imports: ["PrustCore", "CSystemd", log]),
        adaptor("PrustSimulator", imports: ["PrustCore", "PrustReplication", "PrustStorage"]),
        adaptor(
            "PrustServer",
            imports: [
                "CNumber", "PrustCore", "PrustStorage", "PrustWire", "PrustTLS", "PrustTelemetry",
                "PrustSystemd", log, nioProduct("NIOCore"), nioProduct("NIOPosix"),
                nioProduct("NIOHTTP1"), nioProduct("NIOConcurrencyHelpers"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ]
        ),

        adaptor(
            "FuzzTargets",
            imports: [
                "CChecksum", "PrustCore", "PrustStorage", "PrustSimulator", "PrustWire", "PrustTLS",
                "PrustServer", yams, nioProduct("NIOCore"), nioProduct("NIOEmbedded"),
                nioProduct("NIOHTTP1"), nioProduct("NIOConcurrencyHelpers"),
            ]
        ),
        .executableTarget(
            name: "fuzz-replay",
            dependencies: ["FuzzTargets"],
            swiftSettings: strict
        ),
    ]
        + targetNames.map { name in
            .executableTarget(
                name: "fuzz-\(name)",
                dependencies: ["FuzzTargets"],
                path: "Sources/Programs/\(name)",
                swiftSettings: strict
            )
        }
)
