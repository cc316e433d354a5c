import Checkpoints
import Testing

@Suite("Objects that are not known")
struct ForeignObjectTests {
  /// A list of pairs, a thousand at a time as pickles have them.
  private static let pairs: [UInt8] = {
    let pair: [UInt8] = Pickle.string("n01440764/x.JPEG") + Array("K".utf8) + [7, 0x86]
    let thousand: [UInt8] = Array("(".utf8) + Array(repeatElement(pair, count: 1000).joined()) + Array("e".utf8)
    return Pickle.emptyList + Array(repeatElement(thousand, count: 200).joined())
  }()

  /// What lies beside a state dict: the object of a foreign class and what is done to it.
  static let beside: [(String, [UInt8])] = [
    ("a Counter", Pickle.global("collections", "Counter") + Pickle.tuple(Pickle.emptyDictionary) + Pickle.reduce),
    (
      "a record with a state",
      Pickle.global("argparse", "Namespace") + Pickle.emptyTuple + [0x81]
        + Pickle.dictionary([("lr", Pickle.integer(1))]) + Array("b".utf8)
    ),
    (
      "a dictionary of a class, with items",
      Pickle.global("easydict", "EasyDict") + Pickle.emptyTuple + Pickle.reduce + Pickle.string("a")
        + Pickle.integer(1) + Array("s".utf8)
    ),
    (
      "a list of a class, with items",
      Pickle.global("mmcv", "List") + Pickle.emptyTuple + Pickle.reduce + Pickle.integer(1) + Array("a".utf8)
    ),
    (
      "a class called with names",
      Pickle.global("a", "B") + Pickle.emptyTuple + Pickle.dictionary([("x", Pickle.none)]) + [0x92]
    ),
    ("a set", [0x8F] + Array("(".utf8) + Pickle.integer(1) + [0x90]),
    (
      "what a foreign function made, called",
      Pickle.global("builtins", "getattr") + Pickle.tuple(Pickle.global("a", "B"), Pickle.string("c")) + Pickle.reduce
        + Pickle.emptyTuple + Pickle.reduce
    ),
    ("a class itself", Pickle.global("torch.nn.modules.conv", "Conv2d")),
    ("a layout", Pickle.global("torch", "strided")),
    (
      "a complex tensor",
      Pickle.tensor(storage: Pickle.storage("9", type: "ComplexFloatStorage", count: 1), shape: [1], strides: [1])
    ),
    (
      "a tensor of a storage that is foreign",
      Pickle.tensor(storage: Pickle.storage("9", type: "Float4Storage", count: 1), shape: [1], strides: [1])
    ),
    (
      "a sparse tensor",
      Pickle.global("torch._utils", "_rebuild_sparse_tensor") + Pickle.tuple(Pickle.none, Pickle.emptyTuple)
        + Pickle.reduce
    ),
    (
      "a NumPy array",
      Pickle.global("numpy.core.multiarray", "_reconstruct") + Pickle.tuple(Pickle.none) + Pickle.reduce
        + Pickle.tuple(Pickle.integer(1)) + Array("b".utf8)
    ),
    (
      "a NumPy scalar of a class",
      Pickle.global("numpy.core.multiarray", "scalar")
        + Pickle.tuple(Pickle.global("numpy.dtypes", "Float64DType") + Pickle.emptyTuple + Pickle.reduce, Pickle.none)
        + Pickle.reduce
    ),
    (
      "a training history",
      Pickle.emptyList + Array("(".utf8)
        + (0..<40_000).flatMap { index in
          Pickle.dictionary(["step", "loss", "lr"].map { ($0, [0x47] + little(Double(index).bitPattern.byteSwapped)) })
        } + Array("e".utf8)
    ),
    (
      "two hundred thousand pairs of a path and a class", Self.pairs
    ),
    (
      "a million numbers, a thousand at a time as pickles have them",
      Pickle.emptyList
        + (0..<1000).flatMap { _ in
          Array("(".utf8) + (0..<1000).flatMap { _ in Array("M".utf8) + [1, 2] } + Array("e".utf8)
        }
    ),
  ]

  @Test("what lies beside the state dict is inert, whatever it is", arguments: beside.indices)
  func inert(index: Int) throws {
    let (_, object) = Self.beside[index]
    let small = object.count < 1 << 20 ? object : Pickle.none
    let state = Pickle.dictionary([("w", Pickle.vector("0", count: 3)), ("_extra_state", small)])
    for root in [
      Pickle.dictionary([("state_dict", state), ("extra", object)]),
      Pickle.dictionary([("extra", object), ("model", state)]), state,
    ] {
      let bytes = Zip.torch(root, storages: ["0": floats([1, 2, 3]), "9": floats([0, 0])]).bytes
      let checkpoint = try Checkpoint(bytes: bytes, named: "f")
      #expect(checkpoint.names == ["w"])
      #expect(try checkpoint.tensors["w"]?.scalars == [1, 2, 3])
    }
  }

  @Test("tensors of kinds that are not read are told by name, for whoever needs one")
  func unread() throws {
    let sparse =
      Pickle.global("torch._utils", "_rebuild_sparse_tensor") + Pickle.tuple(Pickle.none, Pickle.none) + Pickle.reduce
    let complex = Pickle.tensor(
      storage: Pickle.storage("9", type: "ComplexFloatStorage", count: 1), shape: [1], strides: [1])
    let state = Pickle.dictionary([("module.s", sparse), ("c", complex), ("w", Pickle.vector("0", count: 3))])
    let bytes = Zip.torch(state, storages: ["0": floats([1, 2, 3]), "9": floats([0, 0])]).bytes
    let checkpoint = try Checkpoint(bytes: bytes, named: "f")
    #expect(
      checkpoint.unread == ["s": "torch._utils._rebuild_sparse_tensor", "c": "torch.ComplexFloatStorage"])
  }

  @Test("tensors of untyped storages, parameters with attributes and subclasses are tensors")
  func otherTensors() throws {
    let storage = Pickle.storage("0", type: "UntypedStorage", count: 12)
    let typed =
      Pickle.global("torch._utils", "_rebuild_tensor_v3")
      + Pickle.tuple(
        storage, Pickle.integer(1), Pickle.tuple(Pickle.integer(2)), Pickle.tuple(Pickle.integer(1)), Pickle.no,
        Pickle.emptyDictionary, Pickle.global("torch", "float32")) + Pickle.reduce
    let plain = Pickle.vector("1", count: 2)
    let parameter =
      Pickle.global("torch._utils", "_rebuild_parameter_with_state")
      + Pickle.tuple(plain, Pickle.no, Pickle.emptyDictionary, Pickle.dictionary([("tag", Pickle.integer(1))]))
      + Pickle.reduce
    let subclass =
      Pickle.global("torch._tensor", "_rebuild_from_type_v2")
      + Pickle.tuple(
        Pickle.global("torch._utils", "_rebuild_parameter"), Pickle.global("mine", "Tensor"),
        Pickle.tuple(plain, Pickle.no, Pickle.emptyDictionary), Pickle.emptyDictionary) + Pickle.reduce
    let root = Pickle.dictionary([("typed", typed), ("parameter", parameter), ("subclass", subclass)])
    let bytes = Zip.torch(root, storages: ["0": floats([1, 2, 3]), "1": floats([4, 5])]).bytes
    let checkpoint = try Checkpoint(bytes: bytes, named: "f")
    #expect(try checkpoint.tensors["typed"]?.scalars == [2, 3])
    #expect(try checkpoint.tensors["parameter"]?.scalars == [4, 5])
    #expect(try checkpoint.tensors["subclass"]?.scalars == [4, 5])
  }

  @Test("an expanded tensor repeats its numbers, within bounds")
  func expanded() throws {
    let tensor = Pickle.tensor(storage: Pickle.storage("0", count: 1), shape: [3, 2], strides: [0, 0])
    let bytes = Zip.torch(Pickle.dictionary([("w", tensor)]), storages: ["0": floats([7])]).bytes
    #expect(try Checkpoint(bytes: bytes, named: "f").tensors["w"]?.scalars == [7, 7, 7, 7, 7, 7])
    let large = Pickle.tensor(storage: Pickle.storage("0", count: 1), shape: [1 << 20], strides: [0])
    let refused = Zip.torch(Pickle.dictionary([("w", large)]), storages: ["0": floats([7])]).bytes
    #expect(try #require(refusal(refused)).description.contains("larger than its storage"))
  }

  @Test("prefixes of wrappers are taken off, in any order")
  func wrappers() throws {
    for prefix in [
      "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module.", "module.features.module.",
    ] {
      let object = Pickle.dictionary([(prefix + "a._orig_mod.b", Pickle.vector("0", count: 3))])
      let bytes = Zip.torch(object, storages: ["0": floats([1, 2, 3])]).bytes
      #expect(try Checkpoint(bytes: bytes, named: "f").names == ["a.b"], "\(prefix)")
    }
  }

  @Test("what was taken where there was a choice is said")
  func choices() throws {
    let tensor = Pickle.vector("0", count: 3)
    func dictionary(_ names: String...) -> [UInt8] { Pickle.dictionary(names.map { ($0, tensor) }) }
    func notes(_ object: [UInt8]) throws -> (names: [String], notes: [String]) {
      let checkpoint = try Checkpoint(
        bytes: Zip.torch(object, storages: ["0": floats([1, 2, 3])]).bytes, named: "f")
      return (checkpoint.names, checkpoint.notes)
    }
    let average = try notes(Pickle.dictionary([("state_dict_ema", dictionary("b")), ("state_dict", dictionary("a"))]))
    #expect(average.names == ["a"] && average.notes == ["f: took 'state_dict'; the file also holds 'state_dict_ema'"])
    let two = try notes(
      Pickle.dictionary([("discriminator", dictionary("a")), ("generator", dictionary("b", "c"))]))
    #expect(two.names == ["b", "c"] && two.notes == ["f: took 'generator'; the file also holds 'discriminator'"])
    let one = try notes(Pickle.dictionary([("model_ema", dictionary("module.a", "n_averaged"))]))
    #expect(one.names == ["a", "n_averaged"] && one.notes.isEmpty)
  }

  @Test("a state dict is found below other names, in lists, beside numbers and beside what looks like one")
  func wrapped() throws {
    let tensor = Pickle.vector("0", count: 3)
    let scalar = Pickle.tensor(storage: Pickle.storage("0", count: 3), shape: [], strides: [])
    let state = Pickle.dictionary([("conv1.weight", tensor), ("bn1.bias", tensor)])
    let buffers = Pickle.dictionary((0..<9).map { ("\($0)", tensor) })
    let average = Pickle.dictionary([("other.weight", tensor)])
    func wrap(_ names: String..., object: [UInt8]) -> [UInt8] {
      names.reversed().reduce(object) { Pickle.dictionary([($1, $0)]) }
    }
    for object in [
      Pickle.dictionary([("ema", average), ("model", wrap("state_dict", object: state))]),
      Pickle.dictionary([
        ("model_ema", average), ("model", Pickle.dictionary([("module", state), ("step", Pickle.integer(1))])),
      ]),
      Pickle.dictionary([("best_acc1", scalar), ("encoder", state)]),
      Pickle.dictionary([("rng", buffers), ("mine", state)]),
      Pickle.dictionary([("model", Pickle.dictionary([("name", Pickle.string("x"))])), ("ckpt", state)]),
      wrap("checkpoint", "model", "state_dict", object: state), Pickle.tuple(state, Pickle.emptyDictionary),
      Pickle.list(state), wrap("models", object: Pickle.list(state)),
    ] {
      let bytes = Zip.torch(object, storages: ["0": floats([1, 2, 3])]).bytes
      #expect(try Checkpoint(bytes: bytes, named: "f").names == ["conv1.weight", "bn1.bias"])
    }
  }

  @Test("files without check sums have none to be wrong")
  func noChecksums() throws {
    var zip = Zip.sound
    for index in zip.entries.indices { zip.entries[index].checksum = 0 }
    let checkpoint = try Checkpoint(bytes: zip.bytes, named: "f")
    try checkpoint.verifyChecksums()
    #expect(try checkpoint.tensors["weight"]?.scalars == [1, 2, 3])
  }

  @Test("a path that is no text lies beside like anything else")
  func rawText() throws {
    let path = Array("X".utf8) + little(UInt32(3)) + [0x67, 0xF6, 0xDF]
    let object = Pickle.dictionary([
      ("args", Pickle.dictionary([("data", path)])), ("net", Pickle.dictionary([("w", Pickle.vector("0", count: 3))])),
    ])
    #expect(
      try Checkpoint(bytes: Zip.torch(object, storages: ["0": floats([1, 2, 3])]).bytes, named: "f").names == ["w"])
  }

  @Test("a name of many prefixes takes no time")
  func manyPrefixes() throws {
    let name = String(repeating: "module.", count: 100_000) + "x"
    let bytes = Zip.torch(
      Pickle.dictionary([(name, Pickle.vector("0", count: 3))]), storages: ["0": floats([1, 2, 3])]
    ).bytes
    let start = ContinuousClock.now
    let names = try Checkpoint(bytes: bytes, named: "f").names
    #expect(names == ["x"] && ContinuousClock.now - start < .seconds(3))
  }
}
