import Checkpoints
import Testing

@Suite("Pickles")
struct PickleTests {
  static let forbidden = [
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("__builtin__", "eval"), ("subprocess", "Popen"),
    ("torch.nn.modules.conv", "Conv2d"), ("numpy.core.multiarray", "_reconstruct"), ("collections", "Counter"),
    ("torch._utils", "_rebuild_tensor_v2.__globals__"),
  ]

  @Test("what a foreign global makes is refused by name where it is needed, in both containers", arguments: forbidden)
  func forbiddenGlobals(module: String, name: String) {
    let call = Pickle.tuple(Pickle.string("touch /tmp/owned")) + Pickle.reduce
    let byName = Pickle.global(module, name) + call
    let byStack = Pickle.string(module) + Pickle.string(name) + [0x93] + call
    for object in [byName, byStack, Pickle.dictionary([("state_dict", byName)])] {
      for bytes in [Zip.torch(object).bytes, legacy(object)] {
        #expect(refusal(bytes) == .forbiddenGlobal(path: "file.pth", global: "\(module).\(name)"))
      }
    }
  }

  @Test(
    "an opcode that a state dict does not need is refused by name",
    arguments: Array("ioPgpdlISVFL".utf8) + [0x82, 0x97, 0xFF])
  func opcodes(opcode: UInt8) throws {
    let description = try #require(refusal(Zip.torch([opcode] + Pickle.none).bytes)).description
    #expect(description.contains("opcode 0x\(String(opcode, radix: 16))"))
  }

  static let broken: [(String, [UInt8])] = [
    ("takes a value", Array("00".utf8)),
    ("takes a value", Array("(0".utf8)),
    ("no mark", Array("t".utf8)),
    ("no memo 7", Pickle.get(7)),
    ("makes a tuple", [0x86]),
    ("appends to None", Pickle.none + Pickle.none + Array("a".utf8)),
    ("sets an item of None", Pickle.none + Pickle.none + Pickle.none + Array("s".utf8)),
    ("key without a value", Array("}(Nu".utf8)),
    ("values left over", Pickle.none + Pickle.none),
    ("calls None", Pickle.none + Pickle.emptyTuple + Pickle.reduce),
    ("with a list", Pickle.global("torch", "Size") + Pickle.emptyList + Pickle.reduce),
    ("names a global by", Pickle.none + Pickle.none + [0x93]),
    ("more than 256 bytes", Array("c".utf8) + [UInt8](repeating: 0x41, count: 300)),
    ("ends early", Array("X".utf8) + little(UInt32.max)),
    ("ends early", [0x8D] + little(UInt64.max)),
    ("ends early", [0x8B] + little(Int32(-1))),
    ("frame of", [0x95] + little(UInt64(1) << 62)),
    ("found an object", Array("X".utf8) + little(UInt32(2)) + [0xC3, 0x28]),
    ("protocol 6", [0x80, 6]),
    ("persistent id", Pickle.none + Array("Q".utf8)),
    (
      "persistent id",
      Pickle.tuple(Pickle.string("module"), Pickle.none, Pickle.none, Pickle.none, Pickle.none) + Array("Q".utf8)
    ),
    ("storage whose description", Pickle.storage("0", count: -1)),
    (
      "view outside",
      Pickle.storage("0", count: 4, view: Pickle.tuple(Pickle.string("v"), Pickle.integer(2), Pickle.integer(3)))
    ),
    ("calls a storage type", Pickle.global("torch", "FloatStorage") + Pickle.emptyTuple + Pickle.reduce),
    (
      "whose description is none",
      Pickle.global("torch._utils", "_rebuild_tensor_v2") + Pickle.emptyTuple + Pickle.reduce
    ),
    (
      "a parameter of no tensor",
      Pickle.global("torch._utils", "_rebuild_parameter") + Pickle.emptyTuple + Pickle.reduce
    ),
    ("a state to a list", Pickle.emptyList + Pickle.none + Array("b".utf8)),
    (
      "33 axes, more than 32",
      Pickle.tensor(storage: Pickle.storage("0", count: 1), shape: [Int](repeating: 1, count: 33), strides: [])
    ),
    (
      "Latin-1",
      Pickle.global("_codecs", "encode") + Pickle.tuple(Pickle.string("я"), Pickle.string("latin1")) + Pickle.reduce
    ),
    (
      "something other than text",
      Pickle.global("_codecs", "encode") + Pickle.tuple(Pickle.string("a"), Pickle.string("rot13")) + Pickle.reduce
    ),
    ("state dict", Pickle.none),
    ("an empty dictionary", Pickle.emptyDictionary),
    ("the keys 'epoch'", Pickle.dictionary([("epoch", Pickle.integer(3))])),
    ("by an integer", Array("}".utf8) + Pickle.integer(1) + Pickle.vector("0", count: 3) + Array("s".utf8)),
  ]

  @Test("a damaged pickle is refused with the reason", arguments: broken)
  func damaged(reason: String, object: [UInt8]) throws {
    let description = try #require(refusal(Zip.torch(object, storages: ["0": floats([1, 2, 3])]).bytes)).description
    #expect(description.contains(reason))
    #expect(description.hasPrefix("file.pth: ") && !description.contains("\n"))
  }

  static let tensors: [(String, [Int], [Int], Int)] = [
    ("negative extent", [-1], [1], 0),
    ("negative stride", [3], [-1], 0),
    ("negative stride or offset", [3], [1], -1),
    ("outside its storage", [3], [1], 1),
    ("outside its storage", [2], [3], 0),
    ("outside its storage", [2, 1], [Int.max, 1], 0),
    ("outside its storage", [1], [1], Int.max),
    ("outside its storage", [0], [1], 4),
    ("outside its storage", [2, 1], [Int.max, 1], Int.max),
    ("larger than its storage", [1_000_000_000_000], [0], 0),
    ("too large", [Int.max, 2], [0, 0], 0),
    ("too large", [1 << 32, 1 << 32, 0], [0, 0, 0], 0),
    ("as many strides", [3], [1, 1], 0),
  ]

  @Test("a tensor that is not within its storage is refused", arguments: tensors)
  func views(reason: String, shape: [Int], strides: [Int], offset: Int) throws {
    let tensor = Pickle.tensor(storage: Pickle.storage("0", count: 3), offset: offset, shape: shape, strides: strides)
    let object = Pickle.dictionary([("weight", tensor)])
    let zip = Zip.torch(object, storages: ["0": floats([1, 2, 3])]).bytes
    let old = legacy(object, keys: ["0"], storages: little(Int64(3)) + floats([1, 2, 3]))
    for bytes in [zip, old] {
      let description = try #require(refusal(bytes)).description
      #expect(description.contains(reason) && description.contains("'weight'"))
    }
  }

  @Test("nesting as deep as the file allows costs neither the stack nor time, and is dropped")
  func depth() throws {
    let depth = 80_000
    let lists =
      [UInt8](repeating: UInt8(ascii: "]"), count: depth) + [UInt8](repeating: UInt8(ascii: "a"), count: depth - 1)
    let object = Pickle.dictionary([
      ("optimizer", lists), ("state_dict", Pickle.dictionary([("w", Pickle.vector("0", count: 1))])),
    ])
    let checkpoint = try Checkpoint(bytes: Zip.torch(object, storages: ["0": floats([5])]).bytes, named: "file.pth")
    #expect(try checkpoint.tensors["w"]?.scalars == [5])
  }

  @Test("values that contain themselves and each other a billionfold are harmless")
  func laughs() throws {
    // Each tuple holds the one before twice: 2²⁰⁰ leaves, if anyone walked there.
    var bomb = Pickle.tuple(Pickle.none) + Pickle.put(0)
    for _ in 0..<200 { bomb += Pickle.tuple(Pickle.get(0), Pickle.get(0)) + Pickle.put(0) }
    let cycle = Pickle.emptyDictionary + Pickle.put(1) + Pickle.string("state_dict") + Pickle.get(1) + Array("s".utf8)
    let weight = Pickle.dictionary([("w", Pickle.vector("0", count: 1))])
    let object = Pickle.dictionary([("optimizer", bomb), ("state_dict", weight)])
    #expect(try Checkpoint(bytes: Zip.torch(object, storages: ["0": floats([5])]).bytes, named: "f").names == ["w"])
    #expect(
      refusal(Zip.torch(cycle).bytes)
        == .noStateDict(path: "file.pth", found: "a dictionary with the keys 'state_dict'"))
  }

  @Test("one large dictionary under many keys is looked at once")
  func repeatedDictionary() throws {
    let items = Array(repeating: Pickle.none + Pickle.none, count: 60_000).joined()
    let large = Pickle.emptyDictionary + Array("(".utf8) + items + Array("u".utf8) + Pickle.put(0) + Array("0".utf8)
    let keys = (0..<60_000).flatMap { Pickle.string("k\($0)") + Pickle.get(0) }
    let bytes = Zip.torch(large + Pickle.emptyDictionary + Array("(".utf8) + keys + Array("u".utf8)).bytes
    var error: CheckpointError?
    let time = ContinuousClock().measure { error = refusal(bytes) }
    #expect(try #require(error).description.contains("no state dict"))
    // Looking at it under each key would be 7·10⁹ looks.
    #expect(time < .seconds(3))
  }

  @Test("the stride of an axis of one number means nothing, however large")
  func unusedStrides() throws {
    let storages = ["0": floats((0..<32).map(Float.init))]
    for (shape, strides, expected) in [
      ([2, 1, 3], [10, Int.max, 2], [0, 2, 4, 10, 12, 14]), ([2, 1], [3, .max], [0, 3]), ([1, 2], [.max, 5], [0, 5]),
      ([1, 1], [.max, .max], [0]),
    ] as [([Int], [Int], [Double])] {
      let tensor = Pickle.tensor(storage: Pickle.storage("0", count: 32), shape: shape, strides: strides)
      let bytes = Zip.torch(Pickle.dictionary([("w", tensor)]), storages: storages).bytes
      #expect(try Checkpoint(bytes: bytes, named: "f").tensors["w"]?.scalars == expected)
    }
  }

  @Test("a pickle of more values than its file could need is refused")
  func instructions() throws {
    let many = [UInt8](repeating: UInt8(ascii: "N"), count: 16_000_000)
    #expect(try #require(refusal(Zip.torch(many).bytes)).description.contains("bytes of objects, too many"))
  }

  @Test("tensors that share numbers may, but not a thousandfold")
  func sharing() throws {
    let numbers = [UInt8](repeating: 0, count: 4 << 20)
    func file(_ times: Int) -> [UInt8] {
      let tensor = Pickle.vector("0", count: 1 << 20)
      return Zip.torch(Pickle.dictionary((0..<times).map { ("w\($0)", tensor) }), storages: ["0": numbers]).bytes
    }
    #expect(try Checkpoint(bytes: file(3), named: "f").tensors.count == 3)
    #expect(try #require(refusal(file(100))).description.contains("share their numbers"))
  }

  @Test("the state dict is found bare, wrapped, and wrapped twice; prefixes are stripped")
  func stateDict() throws {
    let tensor = Pickle.vector("0", count: 3)
    let dictionary = Pickle.dictionary([
      ("module.a.weight", tensor), ("features.module.b", tensor), ("modular", tensor),
    ])
    let optimizer = Pickle.dictionary([("state", Pickle.dictionary([("0", tensor)])), ("lr", Pickle.integer(1))])
    for object in [
      dictionary, Pickle.dictionary([("optimizer", optimizer), ("net", dictionary)]),
      Pickle.dictionary([("model", Pickle.dictionary([("state_dict", dictionary), ("optimizer", optimizer)]))]),
      Pickle.dictionary([("model", Pickle.dictionary([("depth", Pickle.integer(18))])), ("weights", dictionary)]),
      Pickle.dictionary([("optimizer", optimizer), ("backbone", dictionary)]),
    ] {
      let bytes = Zip.torch(object, storages: ["0": floats([1, 2, 3])]).bytes
      let checkpoint = try Checkpoint(bytes: bytes, named: "f")
      #expect(checkpoint.names == ["a.weight", "b", "modular"])
      #expect(try checkpoint.tensors["b"]?.tensor(as: Double.self).scalars == [1, 2, 3])
    }
    let clash = Pickle.dictionary([("module.a", tensor), ("a", tensor)])
    let description = try #require(refusal(Zip.torch(clash, storages: ["0": floats([1, 2, 3])]).bytes)).description
    #expect(description.contains("two tensors of the name 'a'"))
  }

  @Test("Python 2's ordered dictionaries and strings are read")
  func python2() throws {
    let name: [UInt8] = Array("U".utf8) + [1] + Array("w".utf8)
    let items = Pickle.list(Pickle.list(name, Pickle.vector("0", count: 3)))
    let object = Pickle.global("collections", "OrderedDict") + Pickle.tuple(items) + Pickle.reduce
    let bytes = Zip.torch(object, storages: ["0": floats([1, 2, 3])]).bytes
    #expect(try Checkpoint(bytes: bytes, named: "f").tensors["w"]?.scalars == [1, 2, 3])
  }

  @Test("NumPy scalars in either byte order become metadata")
  func numPy() throws {
    func scalar(_ code: String, _ order: String, _ text: String) -> [UInt8] {
      let type = Pickle.global("numpy", "dtype") + Pickle.tuple(Pickle.string(code), Pickle.no, [0x88]) + Pickle.reduce
      let state =
        Pickle.tuple(Pickle.integer(3), Pickle.string(order), Pickle.none, Pickle.none, Pickle.none) + Array("b".utf8)
      let bytes =
        Pickle.global("_codecs", "encode") + Pickle.tuple(Pickle.string(text), Pickle.string("latin1")) + Pickle.reduce
      return Pickle.global("numpy.core.multiarray", "scalar") + Pickle.tuple(type + state, bytes) + Pickle.reduce
    }
    let object = Pickle.dictionary([
      ("lr", scalar("f8", "<", "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{F8}\u{3F}")),
      ("step", scalar("i4", ">", "\u{FF}\u{FF}\u{FF}\u{FE}")),
      ("state_dict", Pickle.dictionary([("w", Pickle.vector("0", count: 3))])),
    ])
    let checkpoint = try Checkpoint(bytes: Zip.torch(object, storages: ["0": floats([1, 2, 3])]).bytes, named: "f")
    #expect(checkpoint.metadata == ["lr": "1.5", "step": "-2"])
  }
}
