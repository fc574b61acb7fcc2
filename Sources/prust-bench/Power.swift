private import Glibc

/// The system's power function under a name that hides no module.
enum Power {
    static func raise(_ base: Double, to exponent: Double) -> Double { pow(base, exponent) }
}
