/// The few functions that a state dict's pickle calls.
extension PickleMachine {
  /// What `callee` makes of `arguments`.
  mutating func call(_ callee: PickleValue, _ arguments: PickleValue) throws -> PickleValue {
    guard case .global(let function) = callee else { throw malformed("calls \(callee.kind)") }
    guard case .tuple(let index) = arguments else { throw malformed("calls a function with \(arguments.kind)") }
    let arguments = heap.containers[index]
    switch function {
    case .orderedDict: return try orderedDict(arguments)
    case .rebuildTensor: return try tensor(arguments, expected: 4...4)
    case .rebuildTensorV2: return try tensor(arguments, expected: 6...7)
    case .rebuildParameter:
      guard arguments.count == 3, case .tensor = arguments[0] else { throw malformed("has a parameter of no tensor") }
      return arguments[0]
    case .size:
      guard arguments.count == 1, case .tuple = arguments[0] else { throw malformed("has a torch.Size of no tuple") }
      return arguments[0]
    case .numpyType:
      guard let first = arguments.first, case .string(let code) = first else {
        throw malformed("has a NumPy type without a name")
      }
      heap.numpyTypes.append(NumPyType(code: code))
      return .numpyType(heap.numpyTypes.count - 1)
    case .numpyScalar: return try numpyScalar(arguments)
    case .encode: return try encoded(arguments)
    case .inert: return .opaque
    case .storage: throw malformed("calls a storage type")
    }
  }

  /// Gives `object` the state that its class would take over.
  mutating func build(_ object: PickleValue, state: PickleValue) throws {
    switch object {
    case .numpyType(let index):
      guard case .tuple(let state) = state, heap.containers[state].count >= 2,
        case .string(let order) = heap.containers[state][1]
      else { throw malformed("has a NumPy type with a state that is none") }
      heap.numpyTypes[index].isBigEndian = order == ">"
    // An ordered dictionary has attributes (`_metadata`, the modules' versions), which say nothing about tensors.
    case .dictionary, .opaque: break
    default: throw malformed("gives a state to \(object.kind)")
    }
  }

  private mutating func orderedDict(_ arguments: [PickleValue]) throws -> PickleValue {
    var items: [PickleValue] = []
    // Python 2 hands the items over as a list of pairs.
    if let first = arguments.first {
      guard arguments.count == 1, case .list(let list) = first else { throw malformed("has an OrderedDict of no list") }
      for pair in heap.containers[list] {
        switch pair {
        case .list(let index) where heap.containers[index].count == 2,
          .tuple(let index) where heap.containers[index].count == 2:
          items += heap.containers[index]
        default: throw malformed("has an OrderedDict whose item is no pair")
        }
      }
      try charge(items.count)
    }
    return .dictionary(heap.add(container: items))
  }

  private mutating func tensor(_ arguments: [PickleValue], expected: ClosedRange<Int>) throws -> PickleValue {
    guard expected.contains(arguments.count), case .storage(let storage) = arguments[0],
      case .integer(let offset) = arguments[1]
    else { throw malformed("has a tensor whose description is none before byte \(reader.position)") }
    if arguments.count == 7, case .dictionary(let index) = arguments[6], !heap.containers[index].isEmpty {
      throw file.unsupported("a tensor is stored conjugated or negated, before byte \(reader.position) of the file")
    }
    let dimensions = try integers(arguments[2])
    let strides = try integers(arguments[3])
    try charge(dimensions.count + strides.count)
    heap.tensors.append(PickleTensor(storage: storage, offset: offset, dimensions: dimensions, strides: strides))
    return .tensor(heap.tensors.count - 1)
  }

  private mutating func integers(_ value: PickleValue) throws -> [Int] {
    let container: [PickleValue]
    switch value {
    case .tuple(let index), .list(let index): container = heap.containers[index]
    default: throw malformed("has \(value.kind) where a tensor's extents are expected")
    }
    guard container.count <= StoredTensor.rankLimit else {
      throw malformed("has a tensor of \(container.count) axes, more than \(StoredTensor.rankLimit)")
    }
    return try container.map {
      guard case .integer(let extent) = $0 else {
        throw malformed("has \($0.kind) where a tensor's extent is expected")
      }
      return extent
    }
  }

  /// The storage that a persistent id describes: `('storage', type, key, location, count)`, and in legacy files a view
  /// of it as a sixth item.
  mutating func storage(persistentID: PickleValue) throws -> PickleValue {
    guard case .tuple(let index) = persistentID, (5...6).contains(heap.containers[index].count),
      case .string("storage") = heap.containers[index][0]
    else { throw malformed("has a persistent id that is no storage before byte \(reader.position)") }
    let items = heap.containers[index]
    guard case .global(.storage(let type)) = items[1], case .string(let key) = items[2],
      case .integer(let count) = items[4], count >= 0, key.utf8.count <= 256
    else { throw malformed("has a storage whose description is none before byte \(reader.position)") }
    var view = 0..<count
    if items.count == 6, case .tuple(let index) = items[5] {
      let fields = heap.containers[index]
      guard fields.count == 3, case .integer(let offset) = fields[1], case .integer(let size) = fields[2],
        offset >= 0, size >= 0, offset <= count, size <= count - offset
      else { throw malformed("has a view outside its storage of \(count) numbers before byte \(reader.position)") }
      view = offset..<offset + size
    }
    let storage = PickleStorage(key: key, type: type, count: count, view: view)
    if let known = heap.storageIndices[storage] { return .storage(known) }
    heap.storages.append(storage)
    heap.storageIndices[storage] = heap.storages.count - 1
    return .storage(heap.storages.count - 1)
  }

  /// A NumPy scalar's value; one of a type that is no number stays opaque.
  private func numpyScalar(_ arguments: [PickleValue]) throws -> PickleValue {
    guard arguments.count == 2, case .numpyType(let index) = arguments[0] else {
      throw malformed("has a NumPy scalar whose description is none")
    }
    let type = heap.numpyTypes[index]
    guard case .bytes(let bytes) = arguments[1], bytes.count <= 8 else { return .opaque }
    var bits: UInt64 = 0
    for byte in type.isBigEndian ? bytes : bytes.reversed() { bits = bits << 8 | UInt64(byte) }
    switch (type.code, bytes.count) {
    case ("f8", 8): return .real(Double(bitPattern: bits))
    case ("f4", 4): return .real(Double(Float(bitPattern: UInt32(bits))))
    case ("f2", 2): return .real(Double(float(half: UInt16(bits))))
    case ("i8", 8): return .integer(Int(truncatingIfNeeded: bits))
    case ("i4", 4): return .integer(Int(Int32(truncatingIfNeeded: bits)))
    case ("i2", 2): return .integer(Int(Int16(truncatingIfNeeded: bits)))
    case ("i1", 1): return .integer(Int(Int8(truncatingIfNeeded: bits)))
    case ("u8", 8): return Int(exactly: bits).map { .integer($0) } ?? .opaque
    case ("u4", 4), ("u2", 2), ("u1", 1): return .integer(Int(bits))
    case ("b1", 1): return .bool(bits != 0)
    case (let code, let count) where code.count == 2 && "fiub".contains(code.first ?? " "):
      throw malformed("has a NumPy scalar of type \(quoted(code)) in \(count) bytes")
    default: return .opaque
    }
  }

  /// Bytes that protocol 2 has to write as text in Latin-1: a NumPy scalar's.
  private func encoded(_ arguments: [PickleValue]) throws -> PickleValue {
    guard arguments.count == 2, case .string(let text) = arguments[0], case .string(let encoding) = arguments[1],
      encoding == "latin1" || encoding == "latin-1"
    else { throw malformed("encodes something other than text in Latin-1") }
    // Longer ones are of no interest, and copying them again and again would cost memory.
    guard text.utf8.count <= 64 else { return .opaque }
    return .bytes(
      try text.unicodeScalars.map {
        guard let byte = UInt8(exactly: $0.value) else { throw malformed("encodes text in Latin-1 that is not") }
        return byte
      })
  }
}
