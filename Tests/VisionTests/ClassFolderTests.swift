import Files
import Foundation
import Testing
import Vision

@Suite struct ClassFolderTests {
  @Test(
    arguments: [
      (["cat", "dog"], [0, 1], nil), (["Cat", "DOG"], [0, 1], nil), (["dog"], [1], nil), (["a", "b"], [0, 1], nil),
      (["cat", "dog", "misc"], nil, "but not 'misc'"), (["cat", "n02123045"], nil, "1 of 2 folders"),
      (["dog", "w", "x", "y", "z"], nil, "but not 'w', 'x', 'y' and 1 more"),
    ] as [([String], [Int]?, String?)])
  func `Folders called like a network's classes are those, all of them or none`(
    _ names: [String], _ labels: [Int]?, _ reason: String?
  ) throws {
    let folder = Scratch()
    for name in names { try folder.copy("small.jpg", to: name + "/a.jpg") }
    func open() throws -> any Dataset {
      try openDataset(folder.path, wordNetIndex: ["n02123045": 281], classNames: ["cat", "dog"])
    }
    if let reason {
      let error = #expect(throws: DatasetError.self) { try open() }
      #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
    } else {
      let data = try open()
      #expect(Set((0..<data.count).compactMap(data.label)) == Set(labels ?? []))
    }
  }

  @Test func `Classes that differ in capitals alone keep their places`() throws {
    let folder = Scratch()
    for name in ["a", "A"] { try folder.copy("small.jpg", to: name + "/x.jpg") }
    let data = try openDataset(folder.path, classNames: ["a", "A", "b"])
    #expect((0..<2).map(data.path) == ["A/x.jpg", "a/x.jpg"] && (0..<2).map(data.label) == [1, 0])
  }

  @Test func `Names that are one text to Unicode and two folders have two labels`() throws {
    let folder = Scratch()
    let names = ["caf\u{E9}", "cafe\u{301}"]
    for name in names { try folder.copy("small.jpg", to: name + "/x.jpg") }
    let data = try openDataset(folder.path, classNames: ["z"] + names)
    let found = (0..<2).map { [Array(data.path($0).utf8).count, data.label($0) ?? -1] }
    // The decomposed one is a byte longer.
    #expect(Set(found) == [[11, 1], [12, 2]])
  }

  @Test func `Files of kinds that are not read are told, not counted`() throws {
    let folder = Scratch()
    for name in ["a/1.jpg", "a/2.BMP", "a/3.tiff", "b/1.png", "b/deep/2.bmp", "b/notes.txt"] {
      try folder.copy("small.jpg", to: name)
    }
    let data = try openDataset(folder.path)
    #expect(data.count == 2 && data.warnings.count == 1 && data.warnings[0].contains("left out: 2 .bmp, 1 .tiff"))
    #expect(data.limited(to: 1).warnings == data.warnings)
    let others = Scratch()
    for name in ["a/1.bmp", "b/1.tif"] { try others.copy("small.jpg", to: name) }
    let error = #expect(throws: DatasetError.self) { try openDataset(others.path) }
    #expect(error?.description.contains("holds no image that can be read: 1 .bmp, 1 .tif") == true)
    let flat = Scratch()
    try flat.copy("small.jpg", to: "1.gif")
    #expect(throws: DatasetError.otherKinds(flat.path, found: "1 .gif")) { try openDataset(flat.path) }
  }

  @Test func `Links that lead back are followed once`() throws {
    let folder = Scratch()
    try folder.copy("small.jpg", to: "a/s/x.jpg")
    try folder.copy("small.jpg", to: "b/y.jpg")
    for (target, name) in [
      ("..", "a/s/up"), ("../..", "a/s/upper"), ("../../a", "a/s/self"), ("s", "a/t"), ("../b", "a/c"),
    ] { #expect(symlink(target, folder.path + "/" + name) == 0) }
    let data = try openDataset(folder.path)
    #expect((0..<data.count).map(data.path) == ["a/c/y.jpg", "a/s/x.jpg", "b/y.jpg"])
  }

  @Test func `Names that are no text are folders, files and labels like others`() throws {
    let folder = Scratch()
    try folder.copy("small.jpg", to: "b/x.jpg")
    let odd = String(fileSystemBytes: [0xE9, 0x74, 0xE9])
    try createDirectory(folder.path + "/" + odd)
    let bytes = try Data(contentsOf: pictures.appending(path: "small.jpg"))
    try writeAtomically(to: folder.path + "/" + odd + "/" + odd + ".jpg") { try $0.write(Array(bytes)) }
    let data = try openDataset(folder.path)
    #expect((0..<2).map(data.path) == ["b/x.jpg", "\(odd)/\(odd).jpg"] && (0..<2).map(data.label) == [0, 1])
    let (first, second) = (try data.image(0), try data.image(1))
    #expect(first == second)
    try writeAtomically("0\n", to: folder.path + "/\(odd)/labels-\(odd)")
    let flat = try openDataset(folder.path + "/" + odd, labels: folder.path + "/\(odd)/labels-\(odd)")
    #expect(flat.label(0) == 0)
  }

  @Test func `Pipes in the place of files are refused at once`() throws {
    for name in ["t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz", "test_batch.bin"] {
      let folder = Scratch()
      try folder.write("x/y", [])
      #expect(mkfifo(folder.path + "/" + name, 0o600) == 0)
      let error = #expect(throws: DatasetError.self) { try openDataset(folder.path) }
      #expect(error?.description.contains("it is not a regular file") == true)
    }
    let folder = Scratch()
    try folder.copy("small.jpg", to: "a/1.jpg")
    #expect(mkfifo(folder.path + "/a/0.jpg", 0o600) == 0)
    let data = try openDataset(folder.path)
    #expect(data.count == 2)
    #expect(throws: ImageError.self) { try data.image(0) }
    #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
    let error = #expect(throws: DatasetError.self) { try openDataset(folder.path + "/pipe") }
    #expect(error?.description.contains("expected a directory of images") == true)
  }

  @Test(arguments: [(-6, "incorrect data check"), (-2, "incorrect length check"), (30, "")])
  func `Damage of a compressed file is what zlib says of it`(_ place: Int, _ reason: String) throws {
    let folder = Scratch()
    try folder.write("x/y", [])
    let path = folder.path + "/t10k-images-idx3-ubyte.gz"
    writeGzip(idx([5, 10, 10], (0..<500).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 7) }), to: path)
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    bytes[place < 0 ? bytes.count + place : place] ^= 0x55
    try folder.write("t10k-images-idx3-ubyte.gz", bytes)
    let error = #expect(throws: DatasetError.self) { try openDataset(folder.path) }
    #expect(error?.description.contains("cannot be uncompressed: ") == true, "\(String(describing: error))")
    #expect(reason.isEmpty || error?.description.hasSuffix(reason) == true, "\(String(describing: error))")
    try folder.write("t10k-images-idx3-ubyte.gz", Array(bytes.prefix(bytes.count / 2)))
    let cut = #expect(throws: DatasetError.self) { try openDataset(folder.path) }
    #expect(cut?.description.contains("cannot be uncompressed: ") == true, "\(String(describing: cut))")
  }

  @Test func `Parts are entered whatever their capitals, and whatever stands beside them`() throws {
    for (names, part, count) in [
      (["Train/a", "Val/a"], "Val", 1), (["TRAIN/a", "Test/a", "misc/x"], "Test", 1), (["val/a", "misc/x"], "val", 1),
      (["val/a", "test/a"], "val", 1), (["train", "bus"], "", 2),
    ] {
      let folder = Scratch()
      for name in names { try folder.copy("small.jpg", to: name + "/0.jpg") }
      let data = try openDataset(folder.path)
      #expect(data.path(0).hasPrefix(part) && data.classNames?.count == count, "\(names)")
    }
  }
}
