/// The container of MindSpore: a protocol buffer `Checkpoint { repeated Value value = 1 }` with
/// `Value { string tag = 1; TensorProto tensor = 2 }` and
/// `TensorProto { repeated int64 dims = 1; string tensor_type = 2; bytes tensor_content = 3 }`.
///
/// A large tensor is split over consecutive values of one tag, each with the full extents. A check sum may follow the
/// message: `crc_num` and ten bytes, big-endian.
func readMindSpore(_ file: FileBytes) throws -> Checkpoint.Contents {
  var parts: [MindSporeValue] = []
  var tensors: [StoredTensor] = []
  var metadata: [String: String] = [:]

  /// Makes a tensor or an entry of the metadata of the values that belong together.
  func finish() throws {
    guard let first = parts.first else { return }
    let pieces = parts.map(\.content)
    if first.type == "str" {
      guard let text = String(validating: file.slice(first.content), as: UTF8.self), pieces.count == 1 else {
        throw file.malformed("the value \(quoted(first.tag)) is said to be text, but is not UTF-8 in one piece")
      }
      metadata[first.tag] = text
    } else {
      guard let type = mindSporeTypes[first.type] else {
        throw file.unsupported("tensor \(quoted(first.tag)) has the type \(quoted(first.type))")
      }
      let isScalar = first.dimensions == [0] && pieces.contains { !$0.isEmpty }
      let tensor = try StoredTensor(
        name: first.tag, dimensions: isScalar ? [] : first.dimensions, type: type, pieces: pieces, in: file)
      guard pieces.allSatisfy({ $0.count.isMultiple(of: type.byteWidth) }) else {
        throw file.malformed("tensor \(quoted(first.tag)) is split within a number")
      }
      if tensor.shape.rank == 0 { metadata[first.tag] = try tensor.scalarDescription }
      tensors.append(tensor)
    }
    parts.removeAll()
  }

  var message = ProtobufReader(file, 0..<(try endOfMessage(file)), subject: "its list of values")
  var count = 0
  while let field = try message.nextField() {
    guard field.number == 1 else { continue }
    count += 1
    guard count <= file.entryLimit else { throw file.malformed("it has more than \(file.entryLimit) values") }
    guard let value = try MindSporeValue(file, try field.bytes(of: "a value")) else { continue }
    if let first = parts.first, first.tag == value.tag {
      guard first.type == value.type, first.dimensions == value.dimensions else {
        throw file.malformed("the parts of tensor \(quoted(value.tag)) have different shapes or types")
      }
    } else {
      try finish()
    }
    parts.append(value)
  }
  try finish()
  guard !tensors.isEmpty else {
    throw CheckpointError.noStateDict(path: file.path, found: "a MindSpore file without tensors")
  }
  return Checkpoint.Contents(container: .mindspore, tensors: tensors, metadata: metadata)
}

private let mindSporeTypes: [String: ElementType] = [
  "Float16": .float16, "BFloat16": .bfloat16, "Float32": .float32, "Float64": .float64, "Int8": .int8, "UInt8": .uint8,
  "Int16": .int16, "UInt16": .uint16, "Int32": .int32, "UInt32": .uint32, "Int64": .int64, "UInt64": .uint64,
  "Bool": .bool,
]

/// Where the message ends: at the check sum, which is compared, or the file's end.
private func endOfMessage(_ file: FileBytes) throws -> Int {
  let marker = "crc_num".utf8
  let digits = 10
  let end = file.count - marker.count - digits
  guard file.matches(marker, at: end) else { return file.count }
  let stored = file.slice(end + marker.count..<file.count)
  guard stored.dropLast(4).allSatisfy({ $0 == 0 }) else { throw file.malformed("its check sum has more than 32 bits") }
  let expected = stored.suffix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
  let found = checksum(of: file.slice(0..<end))
  guard found == expected else {
    throw file.malformed("its check sum is \(hexadecimal(found)), expected \(hexadecimal(expected))")
  }
  return end
}

/// One value: a tensor, or a part of one.
private struct MindSporeValue {
  let tag: String
  let type: String
  let dimensions: [Int]
  let content: Range<Int>

  /// `nil` for a value that is something other than a tensor.
  init?(_ file: FileBytes, _ range: Range<Int>) throws {
    var tag: String?
    var tensor: Range<Int>?
    var value = ProtobufReader(file, range, subject: "a value")
    while let field = try value.nextField() {
      switch field.number {
      case 1: tag = try value.string(try field.bytes(of: "a tag"))
      case 2:
        guard tensor == nil else { throw file.malformed("a value has two tensors at byte \(range.lowerBound)") }
        tensor = try field.bytes(of: "a tensor")
      default: break
      }
    }
    guard let tensor else { return nil }
    guard let tag, !tag.isEmpty else { throw file.malformed("a tensor has no name at byte \(range.lowerBound)") }

    var type: String?
    var dimensions: [Int] = []
    var content = tensor.upperBound..<tensor.upperBound
    var reader = ProtobufReader(file, tensor, subject: "tensor \(quoted(tag))")
    while let field = try reader.nextField() {
      switch field.number {
      case 1: try dimensions.append(contentsOf: field.integers(of: "extents"))
      case 2: type = try reader.string(try field.bytes(of: "a type"))
      case 3: content = try field.bytes(of: "numbers")
      default: break
      }
      guard dimensions.count <= StoredTensor.rankLimit else {
        throw file.malformed("tensor \(quoted(tag)) has more than \(StoredTensor.rankLimit) axes")
      }
    }
    guard let type else { throw file.malformed("tensor \(quoted(tag)) has no type") }
    self.tag = tag
    self.type = type
    self.dimensions = dimensions
    self.content = content
  }
}
