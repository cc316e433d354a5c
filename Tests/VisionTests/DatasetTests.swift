import CZlib
import Foundation
import TestSupport
import Testing
import Vision

let pictures = Bundle.module.url(forResource: "Resources", withExtension: nil)!

/// A directory that goes away with the test.
final class Scratch {
  let url = FileManager.default.temporaryDirectory.appending(path: "covpool tëst \(UUID())")
  var path: String { url.path }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    let file = url.appending(path: name)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file)
  }

  func copy(_ picture: String, to name: String) throws {
    try write(name, Array(Data(contentsOf: pictures.appending(path: picture))))
  }

  deinit { try? FileManager.default.removeItem(at: url) }
}

func idx(_ shape: [Int], _ values: [UInt8]) -> [UInt8] {
  [0, 0, 8, UInt8(shape.count)] + shape.flatMap { n in (0..<4).map { UInt8(truncatingIfNeeded: n >> (24 - 8 * $0)) } }
    + values
}

func writeGzip(_ bytes: [UInt8], to path: String) {
  let file = gzopen(path, "wb")
  gzwrite(file, bytes, UInt32(bytes.count))
  gzclose(file)
}

@Suite struct DatasetTests {
  @Test func `Labels are positions of the sorted folder names, files are found at any depth`() throws {
    let folder = Scratch()
    for name in ["b/2.png", "b/1.PNG", "a/deep/er/x.jpeg", "a/y.jpg", "Z/z.jpg", "b/notes.txt", ".hidden/h.jpg"] {
      try folder.copy("alpha.png", to: name)
    }
    let data = try openDataset(folder.path)
    #expect((0..<data.count).map(data.path) == ["Z/z.jpg", "a/y.jpg", "a/deep/er/x.jpeg", "b/1.PNG", "b/2.png"])
    #expect((0..<data.count).map(data.label) == [0, 1, 1, 2, 2])
    #expect(data.classNames == ["Z", "a", "b"])
    #expect(try data.image(0).width == 60)
  }

  @Test func `Folders named by WordNet identifiers take ImageNet's indices, all of them or none`() throws {
    let index = ["n01440764": 0, "n02123045": 281]
    let folder = Scratch()
    try folder.copy("small.jpg", to: "n02123045/a.jpg")
    #expect(try openDataset(folder.path, wordNetIndex: index).label(0) == 281)
    #expect(try openDataset(folder.path, wordNetIndex: index).labelKind == .wordNet)
    try folder.copy("small.jpg", to: "n01440764-tench/a.jpg")
    let named = try openDataset(folder.path, wordNetIndex: index)
    #expect((0..<2).map(named.label) == [0, 281] && named.labelKind == .wordNet)
    try folder.copy("small.jpg", to: "cat/a.jpg")
    let error = #expect(throws: DatasetError.self) { try openDataset(folder.path, wordNetIndex: index) }
    #expect(
      error?.description.contains(
        "2 of 3 folders are called by WordNet identifiers of ImageNet's classes, but not 'cat'")
        == true)
    // Who means it says so; training takes its own folders, with a warning.
    let sorted = try openDataset(folder.path, wordNetIndex: index, sortsLabels: true)
    #expect((0..<3).map(sorted.label) == [0, 1, 2] && sorted.labelKind == .sorted && sorted.warnings.isEmpty)
    let training = try openDataset(folder.path, split: .train, wordNetIndex: index)
    #expect((0..<3).map(training.label) == [0, 1, 2] && training.warnings.count == 1)
  }

  @Test func `A directory of splits is entered`() throws {
    let folder = Scratch()
    try folder.copy("small.jpg", to: "train/a/1.jpg")
    try folder.copy("small.jpg", to: "val/a/2.jpg")
    #expect(try openDataset(folder.path).path(0) == "val/a/2.jpg")
    #expect(try openDataset(folder.path, split: .train).path(0) == "train/a/1.jpg")
  }

  @Test func `A flat folder takes labels in sorted order`() throws {
    let folder = Scratch()
    try folder.copy("small.jpg", to: "images/b.jpg")
    try folder.copy("small.jpg", to: "images/a.jpg")
    #expect(try openDataset(folder.path + "/images").label(0) == nil)
    try folder.write("labels.txt", Array("7\r\n3\n\n".utf8))
    let data = try openDataset(folder.path + "/images", labels: folder.path + "/labels.txt")
    #expect((0..<2).map(data.path) == ["a.jpg", "b.jpg"] && (0..<2).map(data.label) == [7, 3])
  }

  @Test(arguments: [
    ("1\n", "1 labels for 2 images"), ("1\n2\n3\n", "3 labels"), ("1\nx\n", "line 2"), ("-1\n0\n", "line 1"),
  ])
  func `Labels that do not fit are an error`(_ text: String, _ message: String) throws {
    let folder = Scratch()
    try folder.copy("small.jpg", to: "images/a.jpg")
    try folder.copy("small.jpg", to: "images/b.jpg")
    try folder.write("labels.txt", Array(text.utf8))
    let error = #expect(throws: DatasetError.self) {
      try openDataset(folder.path + "/images", labels: folder.path + "/labels.txt")
    }
    #expect("\(error!)".contains(message) && "\(error!)".contains("labels.txt"))
  }

  @Test func `Empty directories and classes are errors that name them`() throws {
    let folder = Scratch()
    #expect(throws: DatasetError.notADirectory(folder.path)) { try openDataset(folder.path) }
    try folder.write("notes.txt", [65])
    #expect(throws: DatasetError.empty(folder.path)) { try openDataset(folder.path) }
    try folder.copy("small.jpg", to: "a/1.jpg")
    try folder.write("b/notes.txt", [65])
    #expect(throws: DatasetError.emptyClasses(folder.path, names: ["b"])) { try openDataset(folder.path) }
  }

  @Test func `IDX files are read, plain and compressed`() throws {
    let folder = Scratch()
    let pixels = (0..<2 * 6).map { UInt8($0) }
    try folder.write("t10k-images-idx3-ubyte", idx([2, 2, 3], pixels))
    writeGzip(idx([2], [9, 4]), to: folder.path + "/t10k-labels-idx1-ubyte.gz")
    let data = try openDataset(folder.path)
    #expect(data.count == 2 && data.label(0) == 9 && data.label(1) == 4)
    #expect(try data.image(1) == Image(width: 3, height: 2, pixels: pixels[6...].flatMap { [$0, $0, $0] }))
    #expect(data.path(1) == "t10k-images-idx3-ubyte#1")
  }

  @Test(arguments: [
    idx([2, 2, 3], [1, 2, 3]), idx([2, 2], [1, 2, 3, 4]), idx([1, 1, 1], [1, 2]), [0, 0, 8],
    idx([1 << 31, 1 << 31, 1 << 31], []), idx([1 << 30, 4, 4], [1]), [0, 0, 13, 3, 0, 0, 0, 1],
  ])
  func `IDX files that lie about themselves are errors`(_ bytes: [UInt8]) throws {
    let folder = Scratch()
    try folder.write("t10k-images-idx3-ubyte", bytes)
    let error = #expect(throws: DatasetError.self) { try openDataset(folder.path) }
    #expect("\(error!)".contains("t10k-images-idx3-ubyte"))
  }

  @Test func `CIFAR-10's binary files are read`() throws {
    let folder = Scratch()
    var record: [UInt8] = [3]
    for channel in 0..<3 { record += (0..<1024).map { UInt8(truncatingIfNeeded: $0 + 50 * channel) } }
    try folder.write("test_batch.bin", record + record)
    let data = try openDataset(folder.path)
    #expect(data.count == 2 && data.label(1) == 3 && data.path(1) == "test_batch.bin#1")
    #expect(try Array(data.image(1).pixels[3..<6]) == [1, 51, 101])
    try folder.write("test_batch.bin", record + [1])
    #expect(throws: DatasetError.self) { try openDataset(folder.path) }
    record[0] = 10
    try folder.write("test_batch.bin", record)
    #expect(throws: DatasetError.self) { try openDataset(folder.path) }
  }
}

@Suite struct DataLoaderTests {
  private struct Numbers: Dataset {
    let count: Int
    var classNames: [String]? { nil }
    var summary: String { "numbers" }
    func label(_ index: Int) -> Int? { index % 3 }
    func path(_ index: Int) -> String { "number \(index)" }
    func image(_ index: Int) throws -> Image {
      if index % 7 == 5 { throw ImageError.damaged(path(index), reason: "on purpose") }
      if index % 4 == 0 { usleep(200) }
      return Image(width: 1, height: 1, pixels: [UInt8(index), 0, 0])
    }
  }

  private let transform = EvaluationTransform(
    resize: .exact(width: 1, height: 1), crop: nil, mean: [0, 0, 0], deviation: [1, 1, 1])

  @Test(arguments: [1, 2, 5], [1, 4, 50]) func `Order and content do not depend on the threads`(
    _ workers: Int, _ batch: Int
  ) {
    let loader = DataLoader(
      dataset: Numbers(count: 43), transform: transform, batchSize: batch, workers: workers, prefetch: 2)
    var (indices, failed, values): ([Int], [String], [Int]) = ([], [], [])
    while let next = loader.next() {
      indices += next.indices
      failed += next.failures.map(\.path)
      #expect(next.images.shape == [next.indices.count, 3, 1, 1] && next.labels == next.indices.map { $0 % 3 })
      values += (0..<next.indices.count).map { Int((next.images[$0, 0, 0, 0] * 255).rounded()) }
    }
    let good = (0..<43).filter { $0 % 7 != 5 }
    #expect(indices == good && values == good)
    #expect(failed == (0..<43).filter { $0 % 7 == 5 }.map { "number \($0)" })
    #expect(loader.next() == nil)
  }

  @Test func `A consumer may stop early`() {
    for _ in 0..<20 {
      let loader = DataLoader(dataset: Numbers(count: 200), transform: transform, batchSize: 4, workers: 3)
      #expect(loader.next()?.indices == [0, 1, 2, 3])
    }
  }
}

@Suite struct MetricsTests {
  private func add(_ metrics: inout ClassificationMetrics, _ logits: [Float], _ label: Int?) {
    logits.withUnsafeBufferPointer { metrics.add($0, label: label) }
  }

  @Test func `Accuracy and loss by hand`() {
    var metrics = ClassificationMetrics()
    add(&metrics, [0, 0, 0, 0, 0, 0, 0, 0], 0)  // of equals the first is the likeliest
    add(&metrics, [0, 0, 0, 0, 0, 0, 0, 0], 4)
    add(&metrics, [0, 0, 0, 0, 0, 0, 0, 0], 5)
    add(&metrics, [1000, 0, 0, 0, 0, 0, 0, 0], 0)
    add(&metrics, [9, 9, 9, 9, 9, 9, 9, 9], nil)
    #expect(metrics.images == 4 && metrics.correct1 == 2 && metrics.correct5 == 3)
    #expect(metrics.top1 == 50 && metrics.top5 == 75)
    #expect(abs(metrics.loss - 3 * log(8.0) / 4) < 1e-12)
  }

  @Test func `NaN is never right`() {
    var metrics = ClassificationMetrics()
    add(&metrics, [.nan, .nan, .nan], 0)
    add(&metrics, [.nan, 1, 2], 0)
    #expect(metrics.correct1 == 0 && metrics.correct5 == 0)
    add(&metrics, [.nan, 1, 2], 2)
    #expect(metrics.correct1 == 1)
  }

  @Test func `The largest scores come first`() {
    [Float]([3, 9, .nan, 9, 1, 4]).withUnsafeBufferPointer { scores in
      #expect(topK(scores, 3).map(\.index) == [1, 3, 5])
      #expect(topK(scores, 10).map(\.index) == [1, 3, 5, 0, 4, 2])
    }
  }
}
