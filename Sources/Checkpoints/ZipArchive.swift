import CZlib

/// The directory of a zip file whose entries are stored uncompressed, as `torch.save` writes them.
///
/// Every entry is checked: its two headers agree, its bytes lie in the file, before the directory, and apart from all
/// other entries'.
struct ZipArchive {
  struct Entry {
    /// Where its bytes lie.
    let data: Range<Int>
    let checksum: UInt32
  }

  let file: FileBytes
  /// The entries by their full names.
  private(set) var entries: [String: Entry] = [:]
  /// The names in the directory's order.
  private(set) var names: [String] = []
  /// Whether there are any: PyTorch can be told to write none, which are all 0 then.
  private var hasChecksums = false

  private enum Signature {
    static let local: UInt32 = 0x0403_4B50
    static let central: UInt32 = 0x0201_4B50
    static let end: UInt32 = 0x0605_4B50
    static let end64: UInt32 = 0x0606_4B50
    static let locator64: UInt32 = 0x0706_4B50
  }

  init(_ file: FileBytes) throws {
    self.file = file
    let directory = try Self.directory(of: file)
    guard directory.count <= file.entryLimit else {
      throw file.malformed("its zip directory has \(directory.count) entries, more than \(file.entryLimit)")
    }
    entries.reserveCapacity(directory.count)
    names.reserveCapacity(directory.count)
    var extents: [Range<Int>] = []
    var reader = ByteReader(file, directory.range, subject: "its zip directory")
    for _ in 0..<directory.count {
      let record = try CentralRecord(&reader)
      let (entry, extent) = try locate(record, before: directory.range.lowerBound)
      guard entries.updateValue(entry, forKey: record.name) == nil else {
        throw file.malformed("its zip directory has the name \(quoted(record.name)) twice")
      }
      names.append(record.name)
      hasChecksums = hasChecksums || entry.checksum != 0
      extents.append(extent)
    }
    guard reader.isAtEnd else {
      throw file.malformed("its zip directory is longer than its \(directory.count) entries")
    }
    extents.sort { $0.lowerBound < $1.lowerBound }
    for (extent, next) in zip(extents, extents.dropFirst()) where extent.upperBound > next.lowerBound {
      throw file.malformed("zip entries overlap at byte \(next.lowerBound)")
    }
  }

  /// Compares the entry's bytes with its check sum.
  func verify(_ name: String) throws {
    guard hasChecksums, let entry = entries[name] else { return }
    let found = checksum(of: file.slice(entry.data))
    guard found == entry.checksum else {
      throw file.malformed(
        "zip entry \(quoted(name)) has the check sum \(hexadecimal(found)), expected \(hexadecimal(entry.checksum))")
    }
  }

  // MARK: Directory

  /// Where the central directory lies and how many entries it has, from the record at the file's end.
  private static func directory(of file: FileBytes) throws -> (range: Range<Int>, count: Int) {
    let recordSize = 22
    // A comment of up to 65535 bytes may follow the record, or bytes that belong to nothing, which readers overlook.
    var position = file.count - recordSize
    let first = max(0, position - 0xFFFF)
    while position >= first, !file.matches([0x50, 0x4B, 0x05, 0x06], at: position) { position -= 1 }
    guard position >= first else { throw file.malformed("its zip directory is missing: the file is truncated") }

    var reader = ByteReader(file, position..<file.count, subject: "its zip end record")
    _ = try reader.integer(UInt32.self)
    let disks = (try reader.integer(UInt16.self), try reader.integer(UInt16.self))
    let counts = (try reader.integer(UInt16.self), try reader.integer(UInt16.self))
    var count = UInt64(counts.1)
    var size = UInt64(try reader.integer(UInt32.self))
    var offset = UInt64(try reader.integer(UInt32.self))
    guard disks == (0, 0), counts.0 == counts.1 else { throw file.unsupported("a zip archive in several parts") }

    if count == 0xFFFF || size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF {
      let locator = position - 20
      guard locator >= 0, file.matches([0x50, 0x4B, 0x06, 0x07], at: locator) else {
        throw file.malformed("its zip64 locator is missing")
      }
      reader = ByteReader(file, locator + 8..<position, subject: "its zip64 locator")
      let start = try reader.integer(UInt64.self)
      guard start <= UInt64(locator), locator - Int(start) >= 56 else {
        throw file.malformed("its zip64 end record is said to be at byte \(start)")
      }
      position = Int(start)
      reader = ByteReader(file, position..<locator, subject: "its zip64 end record")
      guard try reader.integer(UInt32.self) == Signature.end64 else {
        throw file.malformed("its zip64 end record is missing")
      }
      _ = try reader.take(8 + 2 + 2)
      guard try reader.integer(UInt32.self) == 0, try reader.integer(UInt32.self) == 0 else {
        throw file.unsupported("a zip archive in several parts")
      }
      let countHere = try reader.integer(UInt64.self)
      count = try reader.integer(UInt64.self)
      guard count == countHere else { throw file.unsupported("a zip archive in several parts") }
      size = try reader.integer(UInt64.self)
      offset = try reader.integer(UInt64.self)
    }
    let limit = UInt64(position)
    guard offset <= limit, size <= limit - offset else {
      throw file.malformed("its zip directory is said to be \(size) bytes at byte \(offset), outside the file")
    }
    guard count <= size / 46 else {
      throw file.malformed("its zip directory is said to have \(count) entries in \(size) bytes")
    }
    return (Int(offset)..<Int(offset + size), Int(count))
  }

  /// One entry's record in the central directory.
  private struct CentralRecord {
    let name: String
    let flags: UInt16
    let method: UInt16
    let checksum: UInt32
    let size: UInt64
    let offset: UInt64

    init(_ reader: inout ByteReader) throws {
      let file = reader.file
      guard try reader.integer(UInt32.self) == Signature.central else {
        throw file.malformed("its zip directory has no entry at byte \(reader.position - 4)")
      }
      _ = try reader.take(4)
      flags = try reader.integer(UInt16.self)
      method = try reader.integer(UInt16.self)
      _ = try reader.take(4)
      checksum = try reader.integer(UInt32.self)
      var compressed = UInt64(try reader.integer(UInt32.self))
      var size = UInt64(try reader.integer(UInt32.self))
      let nameLength = try reader.integer(UInt16.self)
      let extraLength = try reader.integer(UInt16.self)
      let commentLength = try reader.integer(UInt16.self)
      _ = try reader.take(2 + 2 + 4)
      var offset = UInt64(try reader.integer(UInt32.self))
      name = try reader.string(nameLength)
      var extra = ByteReader(file, try reader.take(extraLength), subject: "zip entry \(quoted(name))")
      _ = try reader.take(commentLength)
      while extra.end - extra.position >= 4 {
        let tag = try extra.integer(UInt16.self)
        var field = ByteReader(file, try extra.take(try extra.integer(UInt16.self)), subject: extra.subject)
        guard tag == 1 else { continue }
        // zip64: the sizes and the offset that do not fit 32 bits, in this order.
        if size == 0xFFFF_FFFF { size = try field.integer(UInt64.self) }
        if compressed == 0xFFFF_FFFF { compressed = try field.integer(UInt64.self) }
        if offset == 0xFFFF_FFFF { offset = try field.integer(UInt64.self) }
      }
      guard flags & 0x2041 == 0 else { throw file.unsupported("zip entry \(quoted(name)) is encrypted") }
      guard method == 0 else {
        throw file.unsupported(
          "zip entry \(quoted(name)) is compressed (method \(method)); torch.save stores entries uncompressed")
      }
      guard compressed == size else {
        throw file.malformed("zip entry \(quoted(name)) is uncompressed, but of the sizes \(compressed) and \(size)")
      }
      self.size = size
      self.offset = offset
    }
  }

  /// Where an entry's bytes lie, from its local header, and what the entry takes up with the header.
  private func locate(_ record: CentralRecord, before limit: Int) throws -> (Entry, Range<Int>) {
    let subject = "zip entry \(quoted(record.name))"
    guard record.offset < UInt64(limit) else {
      throw file.malformed(
        "\(subject) is said to start at byte \(record.offset), outside the file's data of \(limit) bytes")
    }
    let start = Int(record.offset)
    var reader = ByteReader(file, start..<limit, subject: subject)
    guard try reader.integer(UInt32.self) == Signature.local else {
      throw file.malformed("\(subject) has no header at byte \(start)")
    }
    _ = try reader.take(2)
    let flags = try reader.integer(UInt16.self)
    let method = try reader.integer(UInt16.self)
    _ = try reader.take(4)
    let checksum = try reader.integer(UInt32.self)
    let compressed = try reader.integer(UInt32.self)
    let size = try reader.integer(UInt32.self)
    let nameLength = try reader.integer(UInt16.self)
    let extraLength = try reader.integer(UInt16.self)
    let name = try reader.take(nameLength)
    _ = try reader.take(extraLength)
    func check(_ agrees: Bool, _ what: String) throws {
      guard agrees else { throw file.malformed("\(subject) has two headers that disagree about its \(what)") }
    }
    try check(file.slice(name).elementsEqual(record.name.utf8), "name")
    try check(method == record.method && flags & 0x2041 == 0, "method")
    // With bit 3 the header was written before the sizes were known, and they follow the data.
    let isDeferred = flags & 8 != 0 && size == 0 && compressed == 0
    if !isDeferred {
      try check(checksum == record.checksum, "check sum")
      try check(size == 0xFFFF_FFFF || UInt64(size) == record.size, "size")
      try check(compressed == 0xFFFF_FFFF || UInt64(compressed) == record.size, "size")
    }
    let data = try reader.take(record.size)
    return (Entry(data: data, checksum: record.checksum), start..<data.upperBound)
  }
}

/// The CRC-32 of these bytes.
func checksum(of bytes: UnsafeRawBufferPointer) -> UInt32 {
  guard let base = bytes.bindMemory(to: UInt8.self).baseAddress else { return 0 }
  return UInt32(crc32_z(0, base, bytes.count))
}

func hexadecimal(_ value: UInt32) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 8 - digits.count) + digits
}
