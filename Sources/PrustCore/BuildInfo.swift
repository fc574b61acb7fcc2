/// What this build of PrustDB calls itself; `scripts/package-deb` reads the version from here.
package enum BuildInfo {
    /// The version, as in the package and in `prustdb --version`.
    package static let version = "0.1.0"
}
