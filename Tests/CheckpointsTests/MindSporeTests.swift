import Checkpoints
import Testing

@Suite("MindSpore's container")
struct MindSporeTests {
  static let weight = Protobuf.value("weight", [2], "Float32", floats([1, 2]))

  @Test("a tensor that is split over values of one tag is joined")
  func split() throws {
    let numbers = floats([1, 2, 3, 4, 5, 6])
    let bytes =
      Protobuf.value("w", [2, 3], "Float32", Array(numbers[..<8]))
      + Protobuf.value("w", [2, 3], "Float32", Array(numbers[8..<12]))
      + Protobuf.value("w", [2, 3], "Float32", Array(numbers[12...])) + Self.weight
    let checkpoint = try Checkpoint(bytes: bytes, named: "f")
    #expect(checkpoint.names == ["w", "weight"])
    #expect(try checkpoint.tensors["w"]?.tensor(as: Float.self).scalars == [1, 2, 3, 4, 5, 6])
  }

  @Test("scalars, texts, packed extents and unknown fields are read or skipped")
  func forms() throws {
    let packed =
      Protobuf.field(1, bytes: [2, 1]) + Protobuf.field(2, bytes: Array("BFloat16".utf8))
      + Protobuf.field(3, bytes: [0x80, 0x3F, 0x00, 0xC0])
    let unknown = Protobuf.field(9, integer: 5) + [9 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8] + [9 << 3 | 5, 1, 2, 3, 4]
    let map = Protobuf.field(1, bytes: Protobuf.field(1, bytes: [0x6D]) + Protobuf.field(3, bytes: [1, 2, 3]))
    let bytes =
      Protobuf.field(1, bytes: Protobuf.field(1, bytes: Array("p".utf8)) + unknown + Protobuf.field(2, bytes: packed))
      + unknown + map + Protobuf.value("zero", [0], "Int32", little(Int32(-7)))
      + Protobuf.value("none", [0], "Int32", [])
      + Protobuf.value("net", [0], "str", Array("größe".utf8))
    let checkpoint = try Checkpoint(bytes: bytes, named: "f")
    #expect(checkpoint.names == ["p", "zero", "none"])
    #expect(checkpoint.tensors["p"]?.shape == [2, 1])
    #expect(try checkpoint.tensors["p"]?.scalars == [1, -2])
    #expect(checkpoint.tensors["none"]?.shape == [0])
    #expect(checkpoint.metadata == ["zero": "-7", "net": "größe"])
  }

  @Test("a check sum is compared and cut off")
  func checksum() throws {
    func trailer(_ sum: UInt32) -> [UInt8] { Array("crc_num".utf8) + [0, 0, 0, 0, 0, 0] + little(sum).reversed() }
    let sum = crc32(Self.weight)
    #expect(try Checkpoint(bytes: Self.weight + trailer(sum), named: "f").tensors["weight"]?.scalars == [1, 2])
    #expect(try #require(refusal(Self.weight + trailer(sum ^ 1))).description.contains("check sum"))
    var flipped = Self.weight
    flipped[flipped.count - 1] ^= 4
    #expect(try #require(refusal(flipped + trailer(sum))).description.contains("check sum"))
    #expect(
      try #require(refusal(Self.weight + Array("crc_num".utf8) + [1] + [UInt8](repeating: 0, count: 9))).description
        .contains("more than 32 bits"))
  }

  /// A value whose tensor has these fields.
  private static func tensor(_ fields: [UInt8]) -> [UInt8] {
    Protobuf.field(1, bytes: Protobuf.field(1, bytes: Array("w".utf8)) + Protobuf.field(2, bytes: fields))
  }
  private static let type = Protobuf.field(2, bytes: Array("Float32".utf8))

  static let broken: [(String, [UInt8])] = [
    ("wrong wire type", weight + Protobuf.field(1, integer: 3)),
    ("wrong wire type", weight + Protobuf.field(1, bytes: Protobuf.field(1, integer: 3))),
    ("wrong wire type", weight + Protobuf.field(1, bytes: Protobuf.field(2, integer: 3))),
    ("wrong wire type", weight + tensor(Protobuf.field(2, integer: 3))),
    ("wrong wire type", weight + tensor(type + Protobuf.field(3, integer: 3))),
    ("wrong wire type", weight + tensor(type + [1 << 3 | 5, 1, 2, 3, 4])),
    ("wire type 3", weight + [2 << 3 | 3]),
    ("wire type 7", weight + [2 << 3 | 7]),
    ("field 0", weight + [0, 1]),
    ("more than 64 bits", weight + [UInt8](repeating: 0xFF, count: 11)),
    ("ends early", weight + [0x0A, 0x80]),
    ("ends early", weight + [0x0A] + Protobuf.varint(.max)),
    ("ends early", weight + [0x0A] + Protobuf.varint(100) + [1, 2]),
    ("no name", weight + Protobuf.field(1, bytes: Protobuf.field(2, bytes: type))),
    ("no type", weight + tensor([])),
    (
      "two tensors at byte",
      weight + Protobuf.field(1, bytes: Protobuf.field(2, bytes: type) + Protobuf.field(2, bytes: type))
    ),
    ("type 'Int4'", Protobuf.value("w", [2], "Int4", [1])),
    ("not UTF-8", Protobuf.value("w", [2], "str", [0xFF]) + weight),
    ("takes 8 bytes, the file has 7", Protobuf.value("w", [2], "Float32", [1, 2, 3, 4, 5, 6, 7])),
    ("takes 8 bytes, the file has 16", weight + weight),
    ("negative extent", Protobuf.value("w", [-2], "Float32", floats([1, 2]))),
    ("too large", Protobuf.value("w", [1 << 40, 1 << 40], "Float32", [])),
    ("more than 32 axes", Protobuf.value("w", [Int](repeating: 1, count: 40), "Float32", floats([1]))),
    (
      "more than 32 axes",
      tensor(
        Protobuf.field(1, bytes: [UInt8](repeating: 1, count: 1000)) + type + Protobuf.field(3, bytes: floats([1])))
    ),
    ("different shapes", weight + Protobuf.value("weight", [1, 2], "Float32", floats([1, 2]))),
    ("two tensors of the name", weight + Protobuf.value("v", [1], "Float32", floats([1])) + weight),
    (
      "split within a number",
      Protobuf.value("w", [1], "Float32", [1]) + Protobuf.value("w", [1], "Float32", [2, 3, 4])
    ),
    ("without tensors", Protobuf.value("net", [0], "str", Array("a".utf8))),
  ]

  @Test("a MindSpore file that contradicts itself is refused with the reason", arguments: broken.indices)
  func damaged(index: Int) throws {
    let (reason, bytes) = Self.broken[index]
    let description = try #require(refusal(bytes)).description
    #expect(description.contains(reason), "\(description)")
  }
}
