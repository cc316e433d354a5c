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
  /// Something that is allowed, but of no interest: a device, a set.
  case opaque

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
    case .opaque: "an object"
    }
  }
}

/// The objects that a pickle has made.
struct PickleHeap {
  var containers: [[PickleValue]] = []
  var storages: [PickleStorage] = []
  var tensors: [PickleTensor] = []
  var numpyTypes: [NumPyType] = []

  /// The storages' indices by key, type and view: every tensor repeats its storage's description.
  var storageIndices: [PickleStorage: Int] = [:]

  mutating func add(container: [PickleValue]) -> Int {
    containers.append(container)
    return containers.count - 1
  }
}

/// A storage that a persistent id describes: not the bytes, but where they will be.
struct PickleStorage: Hashable {
  let key: String
  let type: ElementType
  /// How many numbers the storage has.
  let count: Int
  /// The part of it that is meant, in numbers; legacy files have such views.
  let view: Range<Int>
}

/// A tensor as `_rebuild_tensor_v2` was asked to build it; nothing of it is checked yet.
struct PickleTensor {
  let storage: Int
  let offset: Int
  let dimensions: [Int]
  let strides: [Int]
}

/// A NumPy scalar type: `f8`, `i4`, ….
struct NumPyType {
  let code: String
  var isBigEndian = false
}

/// The globals that a state dict needs, and no others.
enum PickleGlobal {
  case orderedDict, rebuildTensor, rebuildTensorV2, rebuildParameter
  case storage(ElementType)
  case size
  case numpyScalar, numpyType
  case encode
  /// A name that may be mentioned or called, but yields nothing of interest.
  case inert

  /// The global of that name, or `nil` where the name is not on the list.
  static func named(_ name: String) -> PickleGlobal? { allowed[name] }

  private static let allowed: [String: PickleGlobal] = {
    var globals: [String: PickleGlobal] = [
      "collections.OrderedDict": .orderedDict,
      "torch._utils._rebuild_tensor": .rebuildTensor,
      "torch._utils._rebuild_tensor_v2": .rebuildTensorV2,
      "torch._utils._rebuild_parameter": .rebuildParameter,
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
    for (name, type) in storages {
      // Old files name the CUDA types; all are read into main memory.
      for module in ["torch", "torch.cuda", "torch.storage"] { globals["\(module).\(name)Storage"] = .storage(type) }
    }
    let types = [
      "float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
      "uint64", "bool", "complex64", "complex128",
    ]
    for type in types { globals["torch.\(type)"] = .inert }
    return globals
  }()
}
