import PrustTelemetry
import Testing

@Suite struct MetricsTests {
    @Test func counterAddsOverAllShards() {
        let counter = Counter()
        counter.add()
        for shard in [0, 1, 7, 8, 1_000_003, -1, Int.min, Int.max] { counter.add(2, shard: shard) }
        #expect(counter.value == 17)
        counter.add(UInt64.max)
        #expect(counter.value == 16)
    }

    @Test func gaugeGoesBothWays() {
        let gauge = Gauge()
        gauge.add(5)
        gauge.add(-7)
        #expect(gauge.value == -2)
        gauge.set(9)
        #expect(gauge.value == 9)
    }

    @Test func countingFromManyTasksLosesNothing() async {
        let counter = Counter()
        let histogram = Histogram(scale: .count)
        await withTaskGroup(of: Void.self) { group in
            for shard in 0..<4 {
                group.addTask {
                    for value in 0..<10_000 as Range<UInt64> {
                        counter.add(shard: shard % 2)
                        histogram.record(value, shard: shard)
                    }
                }
            }
        }
        #expect(counter.value == 40_000)
        #expect(histogram.snapshot().total == 40_000)
        #expect(histogram.snapshot().sum == 4 * 49_995_000)
    }

    @Test(arguments: HistogramScale.allCases)
    func everyBoundIsInItsBucketAndOnePastItInTheNext(scale: HistogramScale) {
        #expect(scale.bucket(of: 0) == 0)
        for bucket in 0..<scale.bucketCount {
            let bound = scale.bound(of: bucket)
            #expect(scale.bucket(of: bound) == bucket)
            #expect(scale.bucket(of: bound + 1) == bucket + 1)
            let previous = bucket == 0 ? 0 : scale.bound(of: bucket - 1) + 1
            #expect(scale.bucket(of: previous) == bucket)
        }
        #expect(scale.bucket(of: .max) == scale.bucketCount)
    }

    @Test func boundsAreTheDocumentedOnes() {
        #expect(HistogramScale.seconds.bound(of: 0) == 1_000)
        #expect(HistogramScale.seconds.bound(of: 26) == 67_108_864_000)
        #expect(HistogramScale.bytes.bound(of: 0) == 64)
        #expect(HistogramScale.bytes.bound(of: 10) == 64 * 1024 * 1024)
        #expect(HistogramScale.count.bound(of: 0) == 1)
        #expect(HistogramScale.count.bound(of: 16) == 65_536)
    }

    @Test func quantilesLieWithinTheBucket() throws {
        let histogram = Histogram(scale: .count)
        #expect(histogram.snapshot().quantile(0.5) == nil)
        for _ in 0..<99 { histogram.record(3) }
        histogram.record(1_000_000)
        let snapshot = histogram.snapshot()
        let median = try #require(snapshot.quantile(0.5))
        #expect(median > 2 && median <= 4)
        #expect(snapshot.quantile(1) == 65_536)
        #expect(snapshot.quantile(1.01) == nil)
        #expect(snapshot.quantile(.nan) == nil)
    }

    @Test func extremeValuesNeitherTrapNorLoseTheCount() {
        let histogram = Histogram(scale: .seconds)
        for value in [0, 1, .max, .max] as [UInt64] { histogram.record(nanoseconds: value) }
        let snapshot = histogram.snapshot()
        #expect(snapshot.total == 4)
        #expect(snapshot.counts.first == 2)
        #expect(snapshot.counts.last == 2)
    }
}
