import Checkpoints
import Files
import Foundation
import Tensors
import Testing

@Suite("Safetensors")
struct SafetensorsTests {
  static func entry(_ name: String, _ type: String, _ shape: String, _ begin: Int, _ end: Int) -> String {
    "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(begin),\(end)]}"
  }
  static let numbers = floats([1, 2])
  static let twoTensors = "{\(entry("a", "F32", "[1]", 0, 4)),\(entry("b", "F32", "[1]", 4, 8))}"

  @Test("space, escapes, metadata, empty tensors and any order of the data are read")
  func forms() throws {
    let header = """
      { "b" : {"shape":[],"data_offsets":[4,8],"dtype":"F32"}, "__metadata__":	
      {"\\u00e9\\ud83d\\ude00\\n\\"\\\\\\/":"Größe 猫"},
      "e":{"dtype":"I64","shape":[0, 7],"data_offsets":[4,4]},\t"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]} }
      """
    let checkpoint = try Checkpoint(bytes: safetensors(header, data: Self.numbers), named: "f")
    #expect(checkpoint.container == .safetensors)
    #expect(checkpoint.names == ["b", "e", "a"])
    #expect(checkpoint.metadata == ["é😀\n\"\\/": "Größe 猫"])
    #expect(try checkpoint.tensors["a"]?.scalars == [1])
    #expect(try checkpoint.tensors["b"]?.scalars == [2])
    #expect(checkpoint.tensors["e"]?.shape == [0, 7])
  }

  @Test("every type is read")
  func types() throws {
    let values: [(String, [UInt8], [Double])] = [
      ("BOOL", [1, 0], [1, 0]), ("U8", [255, 1], [255, 1]), ("I8", [255, 1], [-1, 1]),
      ("U16", [255, 255, 1, 0], [65535, 1]), ("I16", [255, 255, 1, 0], [-1, 1]),
      ("U32", little(UInt32.max) + little(UInt32(1)), [4_294_967_295, 1]),
      ("I32", little(Int32(-5)) + little(Int32(1)), [-5, 1]),
      ("U64", little(UInt64(1) << 63) + little(UInt64(1)), [9_223_372_036_854_775_808, 1]),
      ("I64", little(Int64.min) + little(Int64(1)), [-9_223_372_036_854_775_808, 1]),
      ("F16", little(UInt16(0x3C00)) + little(UInt16(0x8001)), [1, -0x1p-24]),
      ("F16", little(UInt16(0x7C00)) + little(UInt16(0x7BFF)), [.infinity, 65504]),
      ("BF16", little(UInt16(0x3F80)) + little(UInt16(0xC000)), [1, -2]),
      ("F32", floats([0.1, -3]), [Double(Float(0.1)), -3]),
      ("F64", little((0.1).bitPattern) + little((-3.0).bitPattern), [0.1, -3]),
    ]
    for (type, data, expected) in values {
      let file = safetensors("{\(Self.entry("w", type, "[2]", 0, data.count))}", data: data)
      let tensor = try #require(Checkpoint(bytes: file, named: "f").tensors["w"])
      #expect(try tensor.scalars == expected, "\(type)")
      #expect(try tensor.tensor(as: Float.self).scalars == expected.map { Float($0) }, "\(type)")
      if type == "U64" {
        #expect(throws: CheckpointError.self) { try tensor.integers() }
      } else if !type.contains("F") {
        #expect(try tensor.integers() == expected.map { Int64($0) }, "\(type)")
      }
    }
    let nan = safetensors("{\(Self.entry("w", "F16", "[1]", 0, 2))}", data: little(UInt16(0x7E01)))
    #expect(try #require(Checkpoint(bytes: nan, named: "f").tensors["w"]).scalars[0].isNaN)
  }

  static let broken: [(String, [UInt8])] = [
    ("more than 100000000", safetensors("{}", length: 1 << 62)),
    ("more than 100000000", safetensors("{}      ", length: 100_000_001)),
    ("ends early", safetensors("{}      ", length: 1000)),
    ("'{' expected", safetensors("not JSON")),
    ("'\"' expected", safetensors("{nonsense")),
    ("'}' expected", safetensors("{\(entry("a", "F32", "[2]", 0, 8))", data: numbers)),
    ("something follows", safetensors("{\(entry("a", "F32", "[2]", 0, 8))}{}", data: numbers)),
    ("not UTF-8", little(UInt64(9)) + Array("{\"".utf8) + [0xC3, 0x28] + Array("\":{}}".utf8)),
    ("control character", safetensors("{\"a\n\":{}}")),
    ("unknown escape", safetensors("{\"\\x\":{}}")),
    ("no character", safetensors("{\"\\ud800\":{}}")),
    ("no character", safetensors("{\"\\u12g4\":{}}")),
    ("it ends early", safetensors("{\"abcdef")),
    ("'{' expected", safetensors("{\"a\":" + String(repeating: "[", count: 100_000))),
    ("'\"' expected", safetensors("{\"__metadata__\":{\"a\":1}}")),
    ("the metadata 'k' twice", safetensors("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}")),
    (
      "the name 'a' twice",
      safetensors("{\(entry("a", "F32", "[1]", 0, 4)),\(entry("a", "F32", "[1]", 4, 8))}", data: numbers)
    ),
    ("'shape' twice", safetensors("{\"a\":{\"shape\":[1],\"shape\":[1]}}")),
    ("lacks the dtype", safetensors("{\"a\":{\"x\":[1]}}")),
    ("brackets that do not match", safetensors("{\"a\":{\"x\":[1}}}")),
    ("ends early", safetensors("{\"a\":{\"x\":[[[")),
    ("no value", safetensors("{\"a\":{\"x\":,}}")),
    ("lacks", safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[0]}}")),
    ("lacks", safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0]}}")),
    ("more than 2 integers", safetensors("{\"a\":{\"data_offsets\":[0,1,2]}}")),
    (
      "more than 32 integers",
      safetensors("{\"a\":{\"shape\":[\(Array(repeating: "1", count: 33).joined(separator: ","))]}}")
    ),
    ("no integer", safetensors("{\"a\":{\"shape\":[-1]}}")),
    ("no integer", safetensors("{\"a\":{\"shape\":[01]}}")),
    ("']' expected", safetensors("{\"a\":{\"shape\":[1.5]}}")),
    ("63 bits", safetensors("{\"a\":{\"shape\":[99999999999999999999]}}")),
    ("type 'F4'", safetensors("{\(entry("a", "F4", "[8]", 0, 8))}", data: numbers)),
    ("type F8_E5M2 8 bytes", safetensors("{\(entry("a", "F8_E5M2", "[7]", 0, 8))}", data: numbers)),
    ("type C64 8 bytes", safetensors("{\(entry("a", "C64", "[4611686018427387904,4]", 0, 8))}", data: numbers)),
    ("takes 12 bytes, the file has 8", safetensors("{\(entry("a", "F32", "[3]", 0, 8))}", data: numbers)),
    ("too large", safetensors("{\(entry("a", "F32", "[4294967296,4294967296]", 0, 8))}", data: numbers)),
    ("at bytes 4..<16 of 8", safetensors("{\(entry("a", "F32", "[3]", 4, 16))}", data: numbers)),
    ("at bytes 8..<0 of 8", safetensors("{\(entry("a", "F32", "[2]", 8, 0))}", data: numbers)),
    ("overlap", safetensors("{\(entry("a", "F32", "[2]", 0, 8)),\(entry("b", "F32", "[1]", 4, 8))}", data: numbers)),
    ("leave a hole", safetensors("{\(entry("a", "F32", "[1]", 4, 8))}", data: numbers)),
    ("end at byte 4 of the data, which has 8", safetensors("{\(entry("a", "F32", "[1]", 0, 4))}", data: numbers)),
  ]

  @Test("what other writers add is overlooked, and tensors of types that are not read are told by name")
  func additions() throws {
    let note = #""note":{"a":[1,{"b":"]}"}],"c":null,"d":-1.5e3,"e":true},"#
    let header =
      #"{"__metadata__":null,"a":{\#(note)"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
      + Self.entry("b", "F8_E4M3", "[2,2]", 4, 8) + "}"
    let checkpoint = try Checkpoint(bytes: safetensors(header, data: Self.numbers), named: "f")
    #expect(checkpoint.names == ["a"] && checkpoint.metadata.isEmpty)
    #expect(try checkpoint.tensors["a"]?.scalars == [1])
    #expect(checkpoint.unread == ["b": "numbers of the type F8_E4M3"])
  }

  @Test("a safetensors file that contradicts itself is refused with the reason", arguments: broken.indices)
  func damaged(index: Int) throws {
    let (reason, bytes) = Self.broken[index]
    let description = try #require(refusal(bytes)).description
    #expect(description.contains(reason), "\(description)")
    #expect(!description.contains("\n"))
  }

  @Test("what is written is read back to the bit, with its metadata and order")
  func roundTrip() throws {
    let metadata = ["model": "resnet18-fastmpn", "classes": "[\"čáp\", \"猫\\\"\"]\n\u{1}", "😀": ""]
    let tensors: [(name: String, tensor: Tensor<Float>)] = [
      ("conv1.weight", Tensor([2, 3], [1, -0.0, .infinity, .leastNonzeroMagnitude, 3.4e38, 0.1])),
      ("ß\"\\", Tensor(2.5)),
      ("empty", Tensor([0, 3], [])),
    ]
    try withTemporaryFolder { folder in
      let path = folder.appending(path: "model.safetensors").path
      try writeSafetensors(tensors, metadata: metadata, to: path)
      let checkpoint = try Checkpoint(contentsOf: path)
      #expect(checkpoint.names == tensors.map(\.name))
      #expect(checkpoint.metadata == metadata)
      for (name, tensor) in tensors {
        let read = try #require(checkpoint.tensors[name]).tensor(as: Float.self)
        #expect(read.shape == tensor.shape)
        #expect(read.scalars.map(\.bitPattern) == tensor.scalars.map(\.bitPattern))
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["model.safetensors"])
      try writeSafetensors([("x", Tensor<Float>(1))], to: path)
      #expect(try Checkpoint(contentsOf: path).names == ["x"])
    }
  }

  @Test("the other types are rounded to nearest, ties to even", arguments: [ElementType.float16, .bfloat16, .float64])
  func types(type: ElementType) throws {
    let values: [Double] = [
      1, 0.1, 1 + 0x1p-11, 1 + 0x3p-11, 1 + 0x1p-8, 1 + 0x3p-8, -70_000, 1e-7, .infinity, 0x1p-24,
    ]
    let expected: [Double] =
      switch type {
      case .float16: values.map { Double(Float16($0)) }
      case .bfloat16:
        [1, 0.10009765625, 1, 1, 1, 1 + 0x1p-6, -70144, 1.00117176771164e-07, .infinity, 0x1p-24]
      default: values
      }
    try withTemporaryFolder { folder in
      let path = folder.appending(path: "w").path
      try writeSafetensors([("w", Tensor<Double>([10], values))], to: path, as: type)
      let tensor = try #require(Checkpoint(contentsOf: path).tensors["w"])
      #expect(tensor.type == type)
      for (found, value) in zip(try tensor.scalars, expected) {
        #expect(found == value || abs(found - value) <= 1e-14 * abs(value))
      }
    }
  }

  @Test("a tensor that is converted in several parts is written whole")
  func large() throws {
    let count = 1_000_003
    try withTemporaryFolder { folder in
      let path = folder.appending(path: "w").path
      try writeSafetensors([("w", Tensor<Double>([count], (0..<count).map(Double.init)))], to: path)
      let read = try #require(Checkpoint(contentsOf: path).tensors["w"]).tensor(as: Float.self)
      #expect(read.scalars.enumerated().allSatisfy { Float($0) == $1 })
    }
  }

  @Test("what cannot be written is an error that leaves the old file and nothing else")
  func failures() throws {
    let tensor = Tensor<Float>([2], [1, 2])
    try withTemporaryFolder { folder in
      let path = folder.appending(path: "w").path
      try writeSafetensors([("old", tensor)], to: path)
      #expect(throws: CheckpointError.unwritable(path: path, reason: "the name 'a' is taken")) {
        try writeSafetensors([("a", tensor), ("a", tensor)], to: path)
      }
      #expect(throws: CheckpointError.self) { try writeSafetensors([("__metadata__", tensor)], to: path) }
      #expect(throws: CheckpointError.self) { try writeSafetensors([("a", tensor)], to: "\(path)/missing/w") }
      #expect(throws: CheckpointError.self) { try writeSafetensors([("a", tensor)], to: folder.path) }
      #expect(try Checkpoint(contentsOf: path).names == ["old"])
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["w"])
    }
  }

  static let hasFullDevice = FileManager.default.fileExists(atPath: "/dev/full")

  @Test("a full disk is said to be full", .enabled(if: hasFullDevice, "there is no /dev/full"))
  func fullDisk() throws {
    let handle = try #require(FileHandle(forWritingAtPath: "/dev/full"))
    let output = FileOutput(descriptor: handle.fileDescriptor, path: "model.safetensors")
    #expect(throws: FileError.unwritable(path: "model.safetensors", reason: "No space left on device")) {
      try output.write([1, 2, 3])
    }
  }
}
