/// What a pickle's values are here: data only. Values that others refer to lie in a `PickleHeap`, so that a value that
/// contains itself, or is shared a thousandfold, costs nothing and is never walked recursively.
enum PickleValue {
  case none
  case bool(Bool)
  case integer(Int)
  /// An integer of more than 64 bits: its little-endian two's complement.
  case longInteger([UInt8])
  case real(Double)
  case string(String)
  case bytes([UInt8])
  /// Indices of `PickleHeap.containers`; a dictionary's holds key, value, key, value ….
  case list(Int), tuple(Int), dictionary(Int)
  case global(PickleGlobal)
  /// An index of `PickleHeap.storages`.
  case storage(Int)
  /// An index of `PickleHeap.tensors`.
  case tensor(Int)
  /// An index of `PickleHeap.numpyTypes`.
  case numpyType(Int)
  /// Something that is known and of no interest: a device, a set.
  case opaque
  /// An object of a class that is not known here, or what its functions made: it holds nothing and does nothing. An index of
  /// `PickleHeap.foreignNames`.
  case foreign(Int)

  /// Whether it is a number or nothing.
  var isPlain: Bool {
    switch self {
    case .none, .bool, .integer, .real: true
    default: false
    }
  }

  /// A word for errors.
  var kind: String {
    switch self {
    case .none: "None"
    case .bool: "a truth value"
    case .integer, .longInteger: "an integer"
    case .real: "a number"
    case .string: "a string"
    case .bytes: "bytes"
    case .list: "a list"
    case .tuple: "a tuple"
    case .dictionary: "a dictionary"
    case .global: "a type"
    case .storage: "a storage"
    case .tensor: "a tensor"
    case .numpyType: "a NumPy type"
    case .opaque, .foreign: "an object"
    }
  }
}

/// The objects that a pickle has made.
struct PickleHeap {
  var containers: [[PickleValue]] = []
  var storages: [PickleStorage] = []
  var tensors: [PickleTensor] = []
  var numpyTypes: [NumPyType] = []
  /// Globals that are not known here, as `module.name`.
  var foreignNames: [String] = []
  private var foreignIndices: [String: Int] = [:]

  /// The storages' indices by key, type and view: every tensor repeats its storage's description.
  var storageIndices: [PickleStorage: Int] = [:]

  /// The index of a global that is not known here.
  mutating func foreign(_ name: String) -> Int {
    if let known = foreignIndices[name] { return known }
    foreignNames.append(name)
    foreignIndices[name] = foreignNames.count - 1
    return foreignNames.count - 1
  }

  mutating func add(container: [PickleValue]) -> Int {
    containers.append(container)
    return containers.count - 1
  }
}

/// A storage that a persistent id describes: not the bytes, but where they will be.
struct PickleStorage: Hashable {
  let key: String
  let type: StorageType
  /// How many numbers the storage has.
  let count: Int
  /// The part of it that is meant, in numbers; legacy files have such views.
  let view: Range<Int>
}

/// What the numbers of a storage are.
enum StorageType: Hashable {
  case element(ElementType)
  /// Numbers that are not read, complex or quantised ones, by their width in bytes and the class's name.
  case other(width: Int, name: String)

  var byteWidth: Int {
    switch self {
    case .element(let type): type.byteWidth
    case .other(let width, _): width
    }
  }

  var name: String {
    switch self {
    case .element(let type): type.rawValue
    case .other(_, let name): name
    }
  }
}

/// A tensor as `_rebuild_tensor_v2` was asked to build it; nothing of it is checked yet.
struct PickleTensor {
  let storage: Int
  /// What the bytes of an untyped storage are.
  let type: ElementType
  let offset: Int
  let dimensions: [Int]
  let strides: [Int]
}

/// A NumPy scalar type: `f8`, `i4`, ….
struct NumPyType {
  let code: String
  var isBigEndian = false
}

/// The globals that a state dict needs; all others are foreign.
enum PickleGlobal {
  case orderedDict, rebuildTensor, rebuildTensorV2, rebuildTensorV3, rebuildParameter, rebuildParameterWithState
  /// `_rebuild_from_type_v2`, which builds a tensor of a subclass as it would one of the class.
  case rebuildFromType
  case storage(StorageType)
  /// A type of numbers that a tensor of an untyped storage may have.
  case numberType(ElementType)
  case foreign(Int)
  case size
  case numpyScalar, numpyType
  case encode
  /// A name that may be mentioned or called, but yields nothing of interest.
  case inert

  /// The global of that name, or `nil` where it is foreign.
  static func named(_ name: String) -> PickleGlobal? { allowed[name] }

  private static let allowed: [String: PickleGlobal] = {
    var globals: [String: PickleGlobal] = [
      "collections.OrderedDict": .orderedDict,
      "torch._utils._rebuild_tensor": .rebuildTensor,
      "torch._utils._rebuild_tensor_v2": .rebuildTensorV2,
      "torch._utils._rebuild_tensor_v3": .rebuildTensorV3,
      "torch._utils._rebuild_parameter": .rebuildParameter,
      "torch._utils._rebuild_parameter_with_state": .rebuildParameterWithState,
      "torch._tensor._rebuild_from_type_v2": .rebuildFromType,
      "torch.Size": .size,
      "torch.device": .inert,
      "torch.storage.TypedStorage": .inert,
      "numpy.dtype": .numpyType,
      "numpy.core.multiarray.scalar": .numpyScalar,
      "numpy._core.multiarray.scalar": .numpyScalar,
      "_codecs.encode": .encode,
    ]
    let storages: [(String, ElementType)] = [
      ("Float", .float32), ("Double", .float64), ("Half", .float16), ("BFloat16", .bfloat16), ("Long", .int64),
      ("Int", .int32), ("Short", .int16), ("Char", .int8), ("Byte", .uint8), ("Bool", .bool), ("Untyped", .uint8),
    ]
    let others = [
      ("ComplexFloat", 8), ("ComplexDouble", 16), ("QInt8", 1), ("QUInt8", 1), ("QInt32", 4), ("QUInt4x2", 1),
      ("QUInt2x4", 1),
    ]
    // Old files name the CUDA types; all are read into main memory.
    for module in ["torch", "torch.cuda", "torch.storage"] {
      for (name, type) in storages { globals["\(module).\(name)Storage"] = .storage(.element(type)) }
      for (name, width) in others {
        let path = "\(module).\(name)Storage"
        globals[path] = .storage(.other(width: width, name: path))
      }
    }
    for type in ElementType.allCases { globals["torch.\(type.rawValue)"] = .numberType(type) }
    return globals
  }()
}
