import Foundation

/// Little-endian bytes of an integer.
func little(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

/// Numbers as the bytes of single precision.
func floats(_ values: [Float]) -> [UInt8] { values.flatMap { little($0.bitPattern) } }

/// Pickle programs, written instruction by instruction.
enum Pickle {
  static let start: [UInt8] = [0x80, 2]
  static let stop = Array(".".utf8)
  static let emptyDictionary = Array("}".utf8)
  static let emptyTuple = Array(")".utf8)
  static let emptyList = Array("]".utf8)
  static let none = Array("N".utf8)
  static let no: [UInt8] = [0x89]
  static let reduce = Array("R".utf8)

  static func global(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }
  static func string(_ text: String) -> [UInt8] {
    Array("X".utf8) + little(UInt32(text.utf8.count)) + Array(text.utf8)
  }
  static func integer(_ value: Int) -> [UInt8] { [0x8A, 8] + little(Int64(value)) }
  static func tuple(_ items: [UInt8]...) -> [UInt8] { Array("(".utf8) + items.joined() + Array("t".utf8) }
  static func list(_ items: [UInt8]...) -> [UInt8] { emptyList + Array("(".utf8) + items.joined() + Array("e".utf8) }
  static func dictionary(_ items: [(key: String, value: [UInt8])]) -> [UInt8] {
    emptyDictionary + Array("(".utf8) + items.flatMap { string($0.key) + $0.value } + Array("u".utf8)
  }
  static func put(_ index: UInt8) -> [UInt8] { Array("q".utf8) + [index] }
  static func get(_ index: UInt8) -> [UInt8] { Array("h".utf8) + [index] }
  static func extents(_ values: [Int]) -> [UInt8] { Array("(".utf8) + values.flatMap(integer) + Array("t".utf8) }

  static func storage(_ key: String, type: String = "FloatStorage", count: Int, view: [UInt8]? = nil) -> [UInt8] {
    tuple(string("storage"), global("torch", type), string(key), string("cpu"), integer(count), view ?? [])
      + Array("Q".utf8)
  }
  static func tensor(storage: [UInt8], offset: Int = 0, shape: [Int], strides: [Int]) -> [UInt8] {
    let hooks = global("collections", "OrderedDict") + emptyTuple + reduce
    let arguments = tuple(storage, integer(offset), extents(shape), extents(strides), no, hooks)
    return global("torch._utils", "_rebuild_tensor_v2") + arguments + reduce
  }
  /// A tensor of one axis that is the whole of storage `key`.
  static func vector(_ key: String, count: Int, type: String = "FloatStorage") -> [UInt8] {
    tensor(storage: storage(key, type: type, count: count), shape: [count], strides: [1])
  }
  static func program(_ object: [UInt8]) -> [UInt8] { start + object + stop }
}

/// A zip archive of stored entries, with every field open to tampering.
struct Zip {
  struct Entry {
    var name: String
    var data: [UInt8]
    var method: UInt16 = 0
    var flags: UInt16 = 0
    /// What the directory says, if not the truth.
    var size: UInt32?
    var offset: UInt32?
    var checksum: UInt32?
    /// What the local header says, if it differs from the directory.
    var localName: String?
    var localSize: UInt32?
  }
  var entries: [Entry]
  var count: UInt16?
  var directoryOffset: UInt32?
  /// Whether sizes, offsets and counts are written with 64 bits.
  var isZip64 = false

  var bytes: [UInt8] {
    var result: [UInt8] = []
    var directory: [UInt8] = []
    for entry in entries {
      let start = UInt32(result.count)
      let name = Array(entry.name.utf8)
      let localName = Array((entry.localName ?? entry.name).utf8)
      let size = entry.size ?? UInt32(entry.data.count)
      let localSize = entry.localSize ?? size
      let common = little(entry.flags) + little(entry.method) + little(UInt32(0))
      let sum = little(entry.checksum ?? crc32(entry.data))
      result += little(UInt32(0x0403_4B50)) + little(UInt16(20)) + common + sum + little(localSize) + little(localSize)
      result += little(UInt16(localName.count)) + little(UInt16(0)) + localName + entry.data
      directory += little(UInt32(0x0201_4B50)) + little(UInt16(20)) + little(UInt16(20)) + common + sum
      let long = little(UInt64(size)) + little(UInt64(size)) + little(UInt64(entry.offset ?? start))
      let extra =
        isZip64 ? little(UInt16(0x4B43)) + little(UInt16(1)) + [0] + little(UInt16(1)) + little(UInt16(24)) + long : []
      directory += little(isZip64 ? .max : size) + little(isZip64 ? .max : size) + little(UInt16(name.count))
      directory += little(UInt16(extra.count)) + [UInt8](repeating: 0, count: 10)
      directory += little(isZip64 ? .max : entry.offset ?? start) + name + extra
    }
    let number = count ?? UInt16(entries.count)
    let offset = directoryOffset ?? UInt32(result.count)
    result += directory
    if isZip64 {
      let end = UInt64(result.count)
      result += little(UInt32(0x0606_4B50)) + little(UInt64(44)) + [UInt8](repeating: 0, count: 12)
      result +=
        little(UInt64(number)) + little(UInt64(number)) + little(UInt64(directory.count)) + little(UInt64(offset))
      result += little(UInt32(0x0706_4B50)) + little(UInt32(0)) + little(end) + little(UInt32(1))
      return result + little(UInt32(0x0605_4B50)) + [0, 0, 0, 0] + [UInt8](repeating: 0xFF, count: 12)
        + little(UInt16(0))
    }
    result += little(UInt32(0x0605_4B50)) + little(UInt32(0)) + little(number) + little(number)
    result += little(UInt32(directory.count)) + little(offset) + little(UInt16(0))
    return result
  }

  /// A PyTorch file of this pickle and these storages.
  static func torch(_ object: [UInt8], storages: [String: [UInt8]] = [:], byteOrder: String? = nil) -> Zip {
    var entries = [Entry(name: "archive/data.pkl", data: Pickle.program(object))]
    if let byteOrder { entries.append(Entry(name: "archive/byteorder", data: Array(byteOrder.utf8))) }
    for (key, data) in storages.sorted(by: { $0.key < $1.key }) {
      entries.append(Entry(name: "archive/data/\(key)", data: data))
    }
    return Zip(entries: entries)
  }

  /// A small sound file: `weight` of three numbers.
  static var sound: Zip {
    .torch(Pickle.dictionary([("weight", Pickle.vector("0", count: 3))]), storages: ["0": floats([1, 2, 3])])
  }
}

/// The CRC-32 of bytes, bit by bit.
func crc32(_ bytes: [UInt8]) -> UInt32 {
  var register: UInt32 = .max
  for byte in bytes {
    register ^= UInt32(byte)
    for _ in 0..<8 { register = register & 1 == 1 ? register >> 1 ^ 0xEDB8_8320 : register >> 1 }
  }
  return ~register
}

/// A legacy PyTorch file of this object, list of storage keys and what follows.
func legacy(
  _ object: [UInt8], keys: [String] = [], storages: [UInt8] = [], version: Int = 1001,
  magic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
) -> [UInt8] {
  let list = Pickle.emptyList + Array("(".utf8) + keys.flatMap(Pickle.string) + Array("e".utf8)
  return Pickle.program([0x8A, UInt8(magic.count)] + magic) + Pickle.program(Pickle.integer(version))
    + Pickle.program(Pickle.dictionary([("little_endian", [0x88])])) + Pickle.program(object) + Pickle.program(list)
    + storages
}

/// Protocol buffers.
enum Protobuf {
  static func varint(_ value: UInt64) -> [UInt8] {
    value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F) | 0x80] + varint(value >> 7)
  }
  static func field(_ number: UInt64, bytes: [UInt8]) -> [UInt8] {
    varint(number << 3 | 2) + varint(UInt64(bytes.count)) + bytes
  }
  static func field(_ number: UInt64, integer: Int) -> [UInt8] {
    varint(number << 3) + varint(UInt64(bitPattern: Int64(integer)))
  }
  /// A value of a MindSpore file.
  static func value(_ tag: String, _ dimensions: [Int], _ type: String, _ content: [UInt8]) -> [UInt8] {
    let tensor =
      dimensions.flatMap { field(1, integer: $0) } + field(2, bytes: Array(type.utf8)) + field(3, bytes: content)
    return field(1, bytes: field(1, bytes: Array(tag.utf8)) + field(2, bytes: tensor))
  }
}

/// A safetensors file of this header and data.
func safetensors(_ header: String, data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
  little(length ?? UInt64(header.utf8.count)) + Array(header.utf8) + data
}
