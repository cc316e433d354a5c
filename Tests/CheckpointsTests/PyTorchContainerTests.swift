import Checkpoints
import Testing

@Suite("PyTorch's containers")
struct PyTorchContainerTests {
  @Test("a zip archive as built here is sound")
  func sound() throws {
    let checkpoint = try Checkpoint(bytes: Zip.sound.bytes, named: "f")
    #expect(try checkpoint.tensors["weight"]?.scalars == [1, 2, 3])
    try checkpoint.verifyChecksums()
  }

  @Test("a zip archive with 64-bit sizes is read")
  func zip64() throws {
    var zip = Zip.sound
    zip.isZip64 = true
    #expect(try Checkpoint(bytes: zip.bytes, named: "f").tensors["weight"]?.scalars == [1, 2, 3])
  }

  /// What is done to the sound archive (entry 0 is the pickle, entry 1 the storage), and what the error says of it.
  static let tampered: [(String, @Sendable (inout Zip) -> Void)] = [
    ("name 'archive/data/0' twice", { $0.entries.append($0.entries[1]) }),
    ("compressed (method 8)", { $0.entries[1].method = 8 }),
    ("encrypted", { $0.entries[1].flags = 1 }),
    ("disagree about its name", { $0.entries[1].localName = "archive/data/1" }),
    ("disagree about its size", { $0.entries[1].localSize = 11 }),
    ("outside the file's data", { $0.entries[1].offset = 1 << 30 }),
    ("no header at byte", { $0.entries[1].offset = 1 }),
    ("ends early", { $0.entries[1].size = 1 << 20 }),
    ("ends early", { $0.entries[1].size = .max - 1 }),
    ("found 8 bytes", { $0.entries[1].size = 8 }),
    ("zip entries overlap", { $0.entries[0].size = UInt32($0.entries[0].data.count) + 40 }),
    ("has the check sum", { $0.entries[0].checksum = 7 }),
    ("longer than its 1 entries", { $0.count = 1 }),
    ("65000 entries", { $0.count = 65_000 }),
    ("outside the file", { $0.directoryOffset = 1 << 31 }),
    ("no entry at byte", { $0.directoryOffset = 0 }),
    ("zip64 locator is missing", { $0.directoryOffset = .max }),
    ("outside the file", { ($0.isZip64, $0.directoryOffset) = (true, 1 << 31) }),
    ("65000 entries", { ($0.isZip64, $0.count) = (true, 65_000) }),
    ("outside the file's data", { ($0.isZip64, $0.entries[1].offset) = (true, 1 << 30) }),
    ("no storage '0'", { $0.entries.removeLast() }),
    ("with no data.pkl", { $0.entries.removeFirst() }),
    ("more than one data.pkl", { $0.entries.append(Zip.Entry(name: "other/data.pkl", data: [])) }),
    ("neither 'little' nor 'big'", { $0.entries.append(Zip.Entry(name: "archive/byteorder", data: [1])) }),
  ]

  @Test("a zip archive that contradicts itself is refused with the reason", arguments: tampered.indices)
  func tampering(index: Int) throws {
    let (reason, change) = Self.tampered[index]
    var zip = Zip.sound
    change(&zip)
    let description = try #require(refusal(zip.bytes)).description
    #expect(description.contains(reason), "\(description)")
  }

  @Test("bytes behind the archive belong to nothing")
  func trailing() throws {
    for rest in [[UInt8](repeating: 0, count: 512), Array("PK".utf8), [UInt8](repeating: 0x50, count: 60_000)] {
      let checkpoint = try Checkpoint(bytes: Zip.sound.bytes + rest, named: "f")
      #expect(try checkpoint.tensors["weight"]?.scalars == [1, 2, 3])
    }
    #expect(refusal(Zip.sound.bytes + [UInt8](repeating: 0, count: 70_000)) != nil)
  }

  @Test("a flipped bit among the numbers is found when the check sums are verified")
  func checksums() throws {
    var zip = Zip.sound
    zip.entries[1].checksum = 7
    let checkpoint = try Checkpoint(bytes: zip.bytes, named: "f")
    #expect(throws: CheckpointError.self) { try checkpoint.verifyChecksums() }
  }

  @Test("big-endian numbers are swapped")
  func bigEndian() throws {
    let object = Pickle.dictionary([
      ("w", Pickle.vector("0", count: 2)), ("n", Pickle.vector("1", count: 1, type: "LongStorage")),
      ("b", Pickle.vector("2", count: 2, type: "ByteStorage")),
    ])
    let storages: [String: [UInt8]] = [
      "0": [0x3F, 0x80, 0, 0, 0x40, 0, 0, 0], "1": [0, 0, 0, 0, 0, 0, 1, 2], "2": [3, 4],
    ]
    let checkpoint = try Checkpoint(bytes: Zip.torch(object, storages: storages, byteOrder: "big").bytes, named: "f")
    #expect(try checkpoint.tensors["w"]?.tensor(as: Float.self).scalars == [1, 2])
    #expect(try checkpoint.tensors["n"]?.integers() == [258])
    #expect(try checkpoint.tensors["b"]?.integers() == [3, 4])
  }

  @Test("views of three axes with gaps are read in row-major order")
  func strided() throws {
    let numbers = (0..<60).map(Float.init)
    let storage = Pickle.storage("0", count: 60)
    let tensor = Pickle.tensor(storage: storage, offset: 1, shape: [3, 2, 4], strides: [1, 24, 5])
    let bytes = Zip.torch(Pickle.dictionary([("w", tensor)]), storages: ["0": floats(numbers)]).bytes
    var expected: [Double] = []
    for i in 0..<3 { for j in 0..<2 { for k in 0..<4 { expected.append(Double(1 + i + 24 * j + 5 * k)) } } }
    #expect(try Checkpoint(bytes: bytes, named: "f").tensors["w"]?.scalars == expected)
  }

  static let vector = Pickle.dictionary([("w", Pickle.vector("7", count: 2))])
  static let data = little(Int64(2)) + floats([1, 2])
  static let legacyFiles: [(String, [UInt8])] = [
    ("magic number", legacy(vector, keys: ["7"], storages: data, magic: [1, 2, 3, 4, 5, 6, 7, 8, 9])),
    ("version 1002", legacy(vector, keys: ["7"], storages: data, version: 1002)),
    ("that no tensor uses", legacy(vector, keys: ["8"], storages: data)),
    ("no storage '7'", legacy(vector)),
    ("'7' twice", legacy(vector, keys: ["7", "7"], storages: data + data)),
    ("found 3", legacy(vector, keys: ["7"], storages: little(Int64(3)) + floats([1, 2, 3]))),
    ("found -1", legacy(vector, keys: ["7"], storages: little(Int64(-1)))),
    ("ends early", legacy(vector, keys: ["7"], storages: data.dropLast())),
    ("ends early", legacy(vector, keys: ["7"], storages: [1, 2])),
    (
      "too large",
      legacy(Pickle.dictionary([("w", Pickle.vector("7", count: .max))]), keys: ["7"], storages: little(Int64.max))
    ),
    (
      "described twice",
      legacy(
        Pickle.dictionary([("v", Pickle.vector("7", count: 1)), ("w", Pickle.vector("7", count: 2))]), keys: ["7"])
    ),
  ]

  @Test("a legacy file that contradicts itself is refused with the reason", arguments: legacyFiles)
  func legacyErrors(reason: String, bytes: [UInt8]) throws {
    let description = try #require(refusal(bytes)).description
    #expect(description.contains(reason), "\(description)")
  }

  @Test("a legacy file's views of storages are read")
  func views() throws {
    let view = Pickle.tuple(Pickle.string("v"), Pickle.integer(1), Pickle.integer(2))
    let tensor = Pickle.tensor(storage: Pickle.storage("7", count: 4, view: view), offset: 1, shape: [1], strides: [1])
    let whole = Pickle.tensor(storage: Pickle.storage("7", count: 4, view: Pickle.none), shape: [4], strides: [1])
    let object = Pickle.dictionary([("part", tensor), ("whole", whole)])
    let bytes = legacy(object, keys: ["7"], storages: little(Int64(4)) + floats([1, 2, 3, 4]))
    let checkpoint = try Checkpoint(bytes: bytes, named: "f")
    #expect(try checkpoint.tensors["part"]?.scalars == [3])
    #expect(try checkpoint.tensors["whole"]?.scalars == [1, 2, 3, 4])
  }

  @Test("a tar archive and things that are no checkpoints are refused for what they are")
  func others() throws {
    var tar = [UInt8](repeating: 0x61, count: 1024)
    tar.replaceSubrange(257..<262, with: "ustar".utf8)
    #expect(try #require(refusal(tar)).description.contains("tar archive"))
    #expect(try #require(refusal(Array("<!DOCTYPE html><html>".utf8))).description.contains("HTML page"))
    #expect(try #require(refusal(Array("GIF89a......".utf8))).description.contains("47 49 46"))
    for (bytes, word) in [
      (Array("version https://git-lfs.github.com/spec/v1\noid".utf8), "Git LFS"),
      (Array(#"{"metadata": {}, "weight_map": {"a": "b"}}"#.utf8), "several files"), (Array(#"{"a": 1}"#.utf8), "JSON"),
      ([0x93] + Array("NUMPY".utf8), "NumPy array"), ([0x89] + Array("HDF\r\n".utf8), "HDF5"),
      ([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0], "gzip"), (Array("GGUF....".utf8), "GGUF"),
    ] as [([UInt8], String)] {
      #expect(try #require(refusal(bytes)).description.contains(word))
    }
    let program = Zip(entries: [
      Zip.Entry(name: "m/data.pkl", data: Pickle.program(Pickle.none)), Zip.Entry(name: "m/constants.pkl", data: []),
      Zip.Entry(name: "m/code/__torch__.py", data: []),
    ])
    #expect(try #require(refusal(program.bytes)).description.contains("TorchScript"))
    let arrays = Zip(entries: [Zip.Entry(name: "a.npy", data: [1])])
    #expect(try #require(refusal(arrays.bytes)).description.contains(".npz"))
    #expect(refusal([0]) == .unrecognized(path: "file.pth", found: "the bytes 00"))
    #expect(refusal([]) == .unreadable(path: "file.pth", reason: "it is empty"))
    #expect(throws: CheckpointError.self) { try Checkpoint(contentsOf: "/nonexistent/file.pth") }
    #expect(throws: CheckpointError.unreadable(path: "/", reason: "it is a directory")) {
      try Checkpoint(contentsOf: "/")
    }
    #expect(throws: CheckpointError.unreadable(path: "/dev/null", reason: "it is not a regular file")) {
      try Checkpoint(contentsOf: "/dev/null")
    }
  }
}
