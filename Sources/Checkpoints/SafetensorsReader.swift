/// The safetensors container: the header's length (64 bits, little-endian), a JSON header, and the numbers, which the
/// tensors must cover without holes and without overlapping.
///
/// Source: the format's description in the README of huggingface/safetensors.
func readSafetensors(_ file: FileBytes) throws -> Checkpoint.Contents {
  // The format's own bound, which keeps a hostile header from costing more than the file is worth.
  let headerLimit: UInt64 = 100_000_000
  var reader = ByteReader(file, 0..<file.count, subject: "its header")
  let length = try reader.integer(UInt64.self)
  guard length <= headerLimit else {
    throw file.malformed("its safetensors header is said to have \(length) bytes, more than \(headerLimit)")
  }
  var header = JSONReader(file, try reader.take(length))
  let data = reader.position..<file.count

  var metadata: [String: String] = [:]
  var names: Set<String> = []
  var tensors: [StoredTensor] = []
  var unread: [String: String] = [:]
  var places: [Range<Int>] = []
  try header.object { header, name in
    guard names.insert(name).inserted else { throw header.malformed("has the name \(quoted(name)) twice") }
    guard names.count + metadata.count <= file.entryLimit else {
      throw header.malformed("has more than \(file.entryLimit) entries")
    }
    if name == "__metadata__" {
      if header.skipNull() { return }
      try header.object { header, key in
        let value = try header.string()
        guard metadata.updateValue(value, forKey: key) == nil else {
          throw header.malformed("has the metadata \(quoted(key)) twice")
        }
        guard metadata.count <= file.entryLimit else {
          throw header.malformed("has more than \(file.entryLimit) entries")
        }
      }
    } else {
      switch try safetensor(name, &header, data: data) {
      case .read(let tensor):
        tensors.append(tensor)
        places.append(tensor.pieces[0])
      case .unread(let type, let place):
        unread[name] = "numbers of the type \(type)"
        places.append(place)
      }
    }
  }
  try header.finish()

  // An empty tensor may lie anywhere between two others.
  places.sort { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }
  var end = data.lowerBound
  for place in places {
    guard place.lowerBound == end else {
      throw file.malformed(
        "its tensors \(place.lowerBound < end ? "overlap" : "leave a hole") at byte "
          + "\(place.lowerBound - data.lowerBound) of the data"
      )
    }
    end = place.upperBound
  }
  guard end == data.upperBound else {
    throw file.malformed("its tensors end at byte \(end - data.lowerBound) of the data, which has \(data.count)")
  }
  return Checkpoint.Contents(container: .safetensors, tensors: tensors, metadata: metadata, unread: unread)
}

private let safetensorsTypes: [String: ElementType] = [
  "F16": .float16, "BF16": .bfloat16, "F32": .float32, "F64": .float64, "I8": .int8, "U8": .uint8, "I16": .int16,
  "U16": .uint16, "I32": .int32, "U32": .uint32, "I64": .int64, "U64": .uint64, "BOOL": .bool,
]

/// Types of numbers that are not read, and their widths in bytes.
private let otherTypes = [
  "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1, "C64": 8,
]

/// A tensor, or one of a type that is not read: where its bytes lie.
private enum Safetensor {
  case read(StoredTensor)
  case unread(type: String, place: Range<Int>)
}

/// One tensor's description: `{"dtype": …, "shape": […], "data_offsets": [begin, end]}`.
private func safetensor(_ name: String, _ header: inout JSONReader, data: Range<Int>) throws -> Safetensor {
  var type: String?
  var shape: [Int]?
  var offsets: [Int]?
  try header.object { header, key in
    let isRepeated: Bool
    switch key {
    case "dtype":
      isRepeated = type != nil
      type = try header.string()
    case "shape":
      isRepeated = shape != nil
      shape = try header.integers(limit: StoredTensor.rankLimit)
    case "data_offsets":
      isRepeated = offsets != nil
      offsets = try header.integers(limit: 2)
    default:  // what other writers add
      try header.skipValue()
      isRepeated = false
    }
    guard !isRepeated else { throw header.malformed("has the key \(quoted(key)) twice in tensor \(quoted(name))") }
  }
  guard let type, let shape, let offsets, offsets.count == 2 else {
    throw header.malformed("lacks the dtype, the shape or the two offsets of tensor \(quoted(name))")
  }
  guard offsets[0] <= offsets[1], offsets[1] <= data.count else {
    throw header.malformed("places tensor \(quoted(name)) at bytes \(offsets[0])..<\(offsets[1]) of \(data.count)")
  }
  let place = data.lowerBound + offsets[0]..<data.lowerBound + offsets[1]
  if let width = otherTypes[type] {
    var count: Int? = width
    for extent in shape {
      count = count.flatMap { count in
        let (product, overflows) = count.multipliedReportingOverflow(by: extent)
        return overflows ? nil : product
      }
    }
    guard count == place.count else {
      throw header.malformed("gives tensor \(quoted(name)) of shape \(shape) and type \(type) \(place.count) bytes")
    }
    return .unread(type: type, place: place)
  }
  guard let element = safetensorsTypes[type] else {
    throw header.file.unsupported("tensor \(quoted(name)) has the type \(quoted(type))")
  }
  return .read(
    try StoredTensor(name: name, dimensions: shape, type: element, pieces: [place], in: header.file))
}
