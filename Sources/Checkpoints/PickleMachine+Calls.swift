/// The few functions that a state dict's pickle calls.
extension PickleMachine {
  /// What `callee` makes of `arguments`.
  mutating func call(_ callee: PickleValue, _ arguments: PickleValue) throws -> PickleValue {
    switch callee {
    case .global, .foreign, .opaque: break
    default: throw malformed("calls \(callee.kind)")
    }
    guard case .tuple(let index) = arguments else { throw malformed("calls a function with \(arguments.kind)") }
    // What a foreign object makes is as foreign.
    guard case .global(let function) = callee else { return callee }
    let arguments = heap.containers[index]
    switch function {
    case .orderedDict: return try orderedDict(arguments)
    case .rebuildTensor: return try tensor(arguments, expected: 4...4)
    case .rebuildTensorV2: return try tensor(arguments, expected: 6...7)
    case .rebuildTensorV3: return try typedTensor(arguments)
    case .rebuildParameter: return try parameter(arguments, count: 3)
    case .rebuildParameterWithState: return try parameter(arguments, count: 4)
    case .rebuildFromType: return try tensorOfSubclass(arguments)
    case .size:
      guard arguments.count == 1, case .tuple = arguments[0] else { throw malformed("has a torch.Size of no tuple") }
      return arguments[0]
    case .numpyType:
      guard let first = arguments.first, case .string(let code) = first else { return .opaque }
      try charge(64)
      heap.numpyTypes.append(NumPyType(code: code))
      return .numpyType(heap.numpyTypes.count - 1)
    case .numpyScalar: return try numpyScalar(arguments)
    case .encode: return try encoded(arguments)
    case .inert, .numberType: return .opaque
    case .foreign(let name): return .foreign(name)
    case .storage: throw malformed("calls a storage type")
    }
  }

  /// Gives `object` the state that its class would take over.
  mutating func build(_ object: PickleValue, state: PickleValue) throws {
    switch object {
    case .numpyType(let index):
      guard case .tuple(let state) = state, heap.containers[state].count >= 2,
        case .string(let order) = heap.containers[state][1]
      else { return }
      heap.numpyTypes[index].isBigEndian = order == ">"
    // An ordered dictionary has attributes (`_metadata`, the modules' versions), which say nothing about tensors.
    case .dictionary, .opaque, .foreign, .tensor: break
    default: throw malformed("gives a state to \(object.kind)")
    }
  }

  private mutating func orderedDict(_ arguments: [PickleValue]) throws -> PickleValue {
    var items: [PickleValue] = []
    // Python 2 hands the items over as a list of pairs.
    if let first = arguments.first {
      guard arguments.count == 1, case .list(let list) = first else { return .opaque }
      for pair in heap.containers[list] {
        switch pair {
        case .list(let index) where heap.containers[index].count == 2,
          .tuple(let index) where heap.containers[index].count == 2:
          items += heap.containers[index]
        default: throw malformed("has an OrderedDict whose item is no pair")
        }
      }
    }
    try charge(64 + items.count * MemoryLayout<PickleValue>.stride)
    return .dictionary(heap.add(container: items))
  }

  private mutating func tensor(
    _ arguments: [PickleValue], expected: ClosedRange<Int>, type: ElementType? = nil
  ) throws -> PickleValue {
    // Of a storage that is not understood the tensor is not either.
    if case .foreign = arguments.first { return arguments[0] }
    guard expected.contains(arguments.count), case .storage(let storage) = arguments[0],
      case .integer(let offset) = arguments[1]
    else { throw malformed("has a tensor whose description is none before byte \(reader.position)") }
    if arguments.count == 7, case .dictionary(let index) = arguments[6], !heap.containers[index].isEmpty {
      return .foreign(heap.foreign("torch._utils._rebuild_tensor_v2 of a conjugated or negated tensor"))
    }
    let element: ElementType
    switch heap.storages[storage].type {
    case .element(let own): element = type ?? own
    case .other(_, let name): return .foreign(heap.foreign(name))
    }
    let dimensions = try integers(arguments[2])
    let strides = try integers(arguments[3])
    try charge(128 + 8 * (dimensions.count + strides.count))
    heap.tensors.append(
      PickleTensor(storage: storage, type: element, offset: offset, dimensions: dimensions, strides: strides))
    return .tensor(heap.tensors.count - 1)
  }

  /// A tensor whose type of numbers is told apart from its storage, which is one of bytes.
  private mutating func typedTensor(_ arguments: [PickleValue]) throws -> PickleValue {
    guard (7...8).contains(arguments.count) else {
      throw malformed("has a tensor whose description is none before byte \(reader.position)")
    }
    switch arguments[6] {
    case .global(.numberType(let type)): return try tensor(Array(arguments.prefix(6)), expected: 6...6, type: type)
    case .global(.foreign(let name)): return .foreign(name)  // float8 and others
    default: return .opaque
    }
  }

  /// The tensor of a parameter.
  private func parameter(_ arguments: [PickleValue], count: Int) throws -> PickleValue {
    guard arguments.count == count else { throw malformed("has a parameter of no tensor") }
    switch arguments[0] {
    case .tensor, .foreign, .opaque: return arguments[0]
    default: throw malformed("has a parameter of no tensor")
    }
  }

  /// What `function(*arguments)` makes, of `(function, class, arguments, state)`.
  private mutating func tensorOfSubclass(_ arguments: [PickleValue]) throws -> PickleValue {
    guard arguments.count == 4, case .global(let function) = arguments[0] else { return .opaque }
    switch function {
    // Not a subclass of a subclass: nothing is followed twice.
    case .rebuildTensor, .rebuildTensorV2, .rebuildTensorV3, .rebuildParameter, .rebuildParameterWithState:
      return try call(arguments[0], arguments[2])
    case .foreign(let name): return .foreign(name)
    default: return .opaque
    }
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
    guard case .tuple(let index) = persistentID, heap.containers[index].count >= 2 else {
      throw malformed("has a persistent id that is no storage before byte \(reader.position)")
    }
    // A class with its source text, beside which old versions put whole modules.
    if case .string("module") = heap.containers[index][0], case .global = heap.containers[index][1] {
      return heap.containers[index][1]
    }
    guard (5...6).contains(heap.containers[index].count), case .string("storage") = heap.containers[index][0] else {
      throw malformed("has a persistent id that is no storage before byte \(reader.position)")
    }
    let items = heap.containers[index]
    if case .global(.foreign(let name)) = items[1] { return .foreign(name) }
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
    try charge(128)
    if let known = heap.storageIndices[storage] { return .storage(known) }
    heap.storages.append(storage)
    heap.storageIndices[storage] = heap.storages.count - 1
    return .storage(heap.storages.count - 1)
  }

  /// A NumPy scalar's value; one of a type that is no number stays opaque.
  private func numpyScalar(_ arguments: [PickleValue]) throws -> PickleValue {
    guard arguments.count == 2, case .numpyType(let index) = arguments[0] else { return .opaque }
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
