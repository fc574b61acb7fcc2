import NIOCore

/// What a run does, the same for all its event loops.
struct RunPlan: Sendable {
    let target: Target
    let mix: MixArgument
    let distribution: DistributionArgument
    let keyCount: Int
    let keyPrefix: [UInt8]
    let values: ValuePool
    let connectionCount: Int
    let pipelineDepth: Int
    let threadCount: Int
    /// Operations a second of an open loop; `nil` sends as fast as replies come.
    let rate: Int?
    let warmup: TimeAmount
    let duration: TimeAmount
    let requestCount: Int?
    /// How long the node may send no reply before an event loop gives it up.
    let silenceMax: TimeAmount
    let seed: UInt64

    /// How much of a number falls to one of several that share it.
    static func share(of total: Int, index: Int, count: Int) -> Int {
        total / count + (index < total % count ? 1 : 0)
    }
}
