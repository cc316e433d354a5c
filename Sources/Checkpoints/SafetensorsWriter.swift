import Files
import Tensors

/// Writes tensors as a safetensors file.
///
/// The file is written beside `path` under another name, flushed to the disk and renamed, so that `path` is the old
/// file or the complete new one, whatever happens.
/// - Parameters:
///   - tensors: the tensors, in the file's order.
///   - metadata: the header's `__metadata__`, if not empty.
///   - path: the file; it is replaced if it exists.
///   - type: a floating-point type; numbers are rounded to the nearest, to `bfloat16` by way of `float32`.
/// - Throws: `CheckpointError.unwritable` with the reason: two tensors of one name, a disk that is full, ….
public func writeSafetensors<S: RealScalar>(
  _ tensors: [(name: String, tensor: Tensor<S>)], metadata: [String: String] = [:], to path: String,
  as type: ElementType = .float32
) throws {
  try writeSafetensors(tensors, metadata: metadata, to: path, as: type, tag: nil)
}

/// The same, with a name beside the file that its owner knows again: `writeAtomically(to:tag:_:)`.
package func writeSafetensors<S: RealScalar>(
  _ tensors: [(name: String, tensor: Tensor<S>)], metadata: [String: String], to path: String,
  as type: ElementType = .float32, tag: String?
) throws {
  check(type.isFloatingPoint, "tensors of \(S.name) cannot be written as \(type.rawValue)")
  let header = try safetensorsHeader(
    tensors.map { ($0.name, $0.tensor.shape) }, metadata: metadata, type: type, path: path)
  do {
    try writeAtomically(to: path, tag: tag) { output in
      try output.write(header)
      for (_, tensor) in tensors {
        try tensor.withUnsafeScalars { try output.write($0, as: type) }
      }
    }
  } catch let error as FileError { throw CheckpointError.unwritable(path: error.path, reason: error.reason) }
}

/// The header with its length before it, padded so that the numbers after it are aligned for every use.
func safetensorsHeader(
  _ tensors: [(name: String, shape: Shape)], metadata: [String: String], type: ElementType, path: String
) throws -> [UInt8] {
  let typeName =
    switch type {
    case .float16: "F16"
    case .bfloat16: "BF16"
    case .float64: "F64"
    default: "F32"
    }
  var members: [String] = []
  if !metadata.isEmpty {
    let entries = metadata.sorted { $0.key < $1.key }.map { "\(json($0.key)):\(json($0.value))" }
    members.append("\"__metadata__\":{\(entries.joined(separator: ","))}")
  }
  var names: Set<String> = ["__metadata__"]
  var offset = 0
  for (name, shape) in tensors {
    guard names.insert(name).inserted else {
      throw CheckpointError.unwritable(path: path, reason: "the name \(quoted(name)) is taken")
    }
    let end = offset + shape.scalarCount * type.byteWidth
    let extents = shape.map(String.init).joined(separator: ",")
    members.append(
      "\(json(name)):{\"dtype\":\"\(typeName)\",\"shape\":[\(extents)],\"data_offsets\":[\(offset),\(end)]}")
    offset = end
  }
  var text = Array("{\(members.joined(separator: ","))}".utf8)
  let alignment = 64
  let lengthSize = MemoryLayout<UInt64>.size
  while !(text.count + lengthSize).isMultiple(of: alignment) { text.append(UInt8(ascii: " ")) }
  return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
}

/// A string as JSON writes it.
private func json(_ string: String) -> String {
  var result = "\""
  for scalar in string.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\n": result += "\\n"
    case "\r": result += "\\r"
    case "\t": result += "\\t"
    case "\u{0}"..<" ":
      let digits = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}
