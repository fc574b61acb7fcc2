import PrustCore
import PrustSimulator
import PrustStorage

/// Opening a storage directory whose files hold anything.
///
/// An input is a small program that changes the files of a healthy directory and plants a fault;
/// see ``DiskImage``. Properties: opening gives an error or a storage, and never traps; whatever
/// stands behind the end of the log neither keeps the storage from opening nor loses a record that
/// was durable; every record that recovery names can be read or is reported as corrupt; and a
/// storage that has opened takes a write, opens again without any new damage and has that write.
package func fuzzRecovery(_ bytes: UnsafeRawBufferPointer) {
    var input = FuzzInput(bytes)
    var image = DiskImage(&input)
    image.run(&input)
    image.install()
    if let fault = image.fault {
        image.fileSystem.plant(fault)
        if let found = Recovered(image, isFaulty: true) { found.checkReads() }
        image.fileSystem.plant(nil)
        image.fileSystem.setCapacity(.max)
        image.fileSystem.kill()
    }
    guard let found = Recovered(image, isFaulty: false) else { return }
    found.checkReads()
    found.checkOriginals()
    found.write()
    image.fileSystem.kill()
    guard let again = Recovered(image, isFaulty: false) else {
        return check(false, "it opened, and does not open again")
    }
    again.checkSecond(after: found)
    again.storage.close()
}

/// One opened storage and what it told.
private final class Recovered {
    struct Found {
        var header: RecordHeader
        var keyID: KeyID
        var key: [UInt8]
        var location: Location
    }

    static let newKey = Array("written by the fuzzer".utf8)
    private static let readCountMax = 64

    let image: DiskImage
    let isFaulty: Bool
    let storage: Storage
    private var records: [Found] = []

    /// `nil` when the storage cannot be opened, which is an error where it must be possible.
    init?(_ image: DiskImage, isFaulty: Bool) {
        self.image = image
        self.isFaulty = isFaulty
        var records: [Found] = []
        do throws(StorageError) {
            self.storage = try Storage.open(
                directory: DiskImage.directory,
                fileSystem: image.fileSystem,
                options: image.options,
                hash: { DiskImage.hash($0) },
                sink: { header, keyID, key, location in
                    records.append(
                        Found(header: header, keyID: keyID, key: Array(key), location: location)
                    )
                }
            )
        } catch {
            checkIsOneLine("\(error)")
            check(isFaulty || !image.mustOpen, "it does not open: \(error)")
            return nil
        }
        self.records = records
        if isFaulty { self.storage.close() }
    }

    func checkReads() {
        for record in self.records.suffix(Self.readCountMax) {
            check(DiskImage.hash(record.key) == record.keyID, "a key ID of another key")
            do throws(ReadError) {
                let value = try self.storage.reader.value(record.location, keyID: record.keyID)
                check(value.count == record.header.valueByteCount, "\(value.count) bytes")
            } catch {
                checkIsOneLine("\(error)")
                switch error {
                case .corrupt(_, .decompression): break
                case .file where self.isFaulty: break
                default: check(false, "recovered and not readable: \(error)")
                }
            }
        }
    }

    private func location(of key: [UInt8]) -> Location? {
        if let record = self.records.last(where: { $0.key == key }) { return record.location }
        do throws(IndexError) {
            return try self.storage.index.lookup(DiskImage.hash(key))?.location
        } catch {
            check(self.image.isIndexTouched, "the index fails: \(error)")
            return nil
        }
    }

    private func value(of key: [UInt8]) -> [UInt8]? {
        guard let location = self.location(of: key) else { return nil }
        return try? self.storage.reader.value(location, keyID: DiskImage.hash(key))
    }

    /// Records that were durable before the program began to change anything behind them.
    func checkOriginals() {
        guard self.image.keepsOriginals else { return }
        for (key, value) in DiskImage.originals {
            check(self.value(of: key) == value, "lost: \(String(decoding: key, as: UTF8.self))")
        }
    }

    func write() {
        do throws(StorageError) {
            let log = try self.storage.makeLog()
            let fields = RecordFields(
                version: Version(term: .zero, hlc: .max, writer: 1, count: 0),
                writtenAt: 1 << 60
            )
            var location: Location?
            var failure: StorageError?
            Self.newKey.withUnsafeBytes { key in
                do throws(StorageError) {
                    location = try log.append(fields, key: key, value: key)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            check(location != nil, "an empty group takes no record")
            try log.commit()
            if self.image.closesLog { try log.close() }
        } catch {
            check(self.image.isNearLastSegment, "it opened and takes no write: \(error)")
        }
        _ = try? self.storage.index.verify()
        _ = try? self.storage.index.scan(from: .first, through: .last, limit: 100)
        if self.image.closesLog { self.storage.close() }
    }

    func checkSecond(after first: Recovered) {
        guard !self.image.isNearLastSegment else { return }
        self.checkReads()
        self.checkOriginals()
        if !self.image.isIndexTouched {
            check(self.value(of: Self.newKey) == Self.newKey, "an acknowledged write is lost")
        }
        check(self.storage.report.tornTail == nil, "a torn tail after a commit")
        let known = Set(first.storage.report.corruptRegions.map(\.segment))
        let torn = first.storage.report.tornTail?.segment
        for region in self.storage.report.corruptRegions {
            check(
                known.contains(region.segment) || torn == region.segment,
                "new damage: \(region)"
            )
        }
    }
}
