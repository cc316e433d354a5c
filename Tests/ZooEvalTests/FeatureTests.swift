import Checkpoints
import Foundation
import ModelZoo
import Testing
import ToolTestSupport

/// `--features`, `--flip`, `--confusion` and other sizes.
@Suite struct FeatureTests {
  /// The scalars of an `.npy` file of single precision, and its shape as written.
  private func npy(_ path: String) throws -> (header: String, values: [Float]) {
    let data = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    #expect(data.starts(with: [0x93] + Array("NUMPY".utf8) + [1, 0]))
    let length = Int(data[8]) | Int(data[9]) << 8
    #expect((10 + length) % 64 == 0)
    let values = data[(10 + length)...].withUnsafeBytes { bytes in
      (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
    return (String(decoding: data[10..<10 + length], as: UTF8.self), values)
  }

  @Test func `Rows are the network's vectors, in either format`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 5)
    let checkpoint = try scratch.writeNetwork("n.safetensors", .fastmpn, classes: 10)
    let arguments = [
      "resnet20-fastmpn", "--checkpoint", checkpoint, "--data", scratch.path + "/data", "--batch-size", "2",
      "--features",
    ]
    let run = try runTool("zoo-eval", arguments + [scratch.path + "/f.npy"])
    #expect(run.status == 0 && run.output.contains("5 rows in"), "\(run.errors)")
    let (header, values) = try npy(scratch.path + "/f.npy")
    #expect(header.contains("'shape': (5, 36,)") && header.contains("'descr': '<f4'") && values.count == 5 * 36)
    let other = try runTool("zoo-eval", arguments + [scratch.path + "/f.safetensors"])
    #expect(other.status == 0, "\(other.errors)")
    let file = try Checkpoint(contentsOf: scratch.path + "/f.safetensors")
    let stored = try #require(file.tensors["features"])
    #expect(try stored.shape == [5, 36] && stored.tensor(as: Float.self).scalars == values)
    #expect(file.metadata["labels"] == "[0,1,2,3,4]" && file.metadata["model"] == "resnet20-fastmpn.d8")
    let extractor = try FeatureExtractor(Zoo.network("resnet20-fastmpn", checkpoint: checkpoint).network)
    let image = try openDataset(scratch.path + "/data").image(3)
    #expect(try extractor(image).scalars == Array(values[3 * 36..<4 * 36]))
    let maps = try runTool("zoo-eval", arguments + [scratch.path + "/m.npy", "--layer", "reduced"])
    #expect(maps.status == 0)
    #expect(try npy(scratch.path + "/m.npy").header.contains("'shape': (5, 8, 16, 16,)"))
  }

  @Test func `An image that cannot be read is a row of NaN, and status 2`() throws {
    let scratch = try Scratch()
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let good = tests.appending(path: "VisionTests/Resources/odd_420.jpg").path
    try scratch.write("bad.jpg", [0xFF, 0xD8, 0xFF, 0xE0, 0, 1])
    let run = try runTool(
      "zoo-eval",
      ["resnet20", "--random-weights", good, scratch.path + "/bad.jpg", good, "--features", scratch.path + "/f.npy"])
    #expect(run.status == 2 && run.errors.contains("a row of NaN"), "\(run.errors)")
    let values = try npy(scratch.path + "/f.npy").values
    #expect(values.count == 3 * 64 && values[64..<128].allSatisfy(\.isNaN))
    #expect(Array(values[..<64]) == Array(values[128...]) && values[..<64].allSatisfy(\.isFinite))
  }

  @Test func `Mirror images, a table of confusions and another size`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 20)
    let checkpoint = try scratch.writeNetwork()
    let arguments = ["resnet20", "--checkpoint", checkpoint, "--data", scratch.path + "/data", "--json"]
    func loss(_ more: String...) throws -> Double? {
      let run = try runTool("zoo-eval", arguments + more)
      #expect(run.status == 0, "\(run.errors)")
      let json = try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any]
      return json?["loss"] as? Double
    }
    let table = scratch.path + "/c.csv"
    let plain = try loss("--confusion", table)
    let larger = try loss("--image-size", "40")
    #expect(try larger != plain && larger != loss("--image-size", "40", "--interpolation", "bicubic"))
    // The mean of both images' logits, worked out here.
    let classifier = try Classifier("resnet20", checkpoint: checkpoint)
    let data = try openDataset(scratch.path + "/data")
    var metrics = ClassificationMetrics()
    for index in 0..<20 {
      let image = classifier.transform.tensor(try data.image(index))
      let (own, mirror) = try (classifier(image).scalars, classifier(image.mirrored()).scalars)
      zip(own, mirror).map { ($0 + $1) / 2 }.withUnsafeBufferPointer { metrics.add($0, label: data.label(index)) }
    }
    let flipped = try #require(try loss("--flip"))
    #expect(abs(flipped - metrics.loss) < 1e-6 && flipped != plain)
    let rows = try scratch.read("c.csv").split(separator: "\n").map { $0.split(separator: ",") }
    #expect(rows.count == 11 && rows[0].prefix(6) == ["label", "name", "images", "correct", "accuracy", "airplane"])
    for row in rows.dropFirst() {
      #expect(row[2] == "2" && row[5...].compactMap { Int($0) }.reduce(0, +) == 2)
      // The diagonal is what is right.
      let label = try #require(Int(row[0]))
      #expect(row[3] == row[5 + label] && Double(row[4]) == Double(row[3]).map { 50 * $0 })
    }
    // Twice mirrored is the image itself.
    let images = Tensor<Float>([1, 3, 32, 32], unit("x", count: 3072))
    #expect(
      images.mirrored().mirrored().scalars == images.scalars && images.mirrored().scalars[0] == images.scalars[31])
  }

  @Test(arguments: [
    (["resnet20", "--features", "f.txt", "x.png"], "must end in .npy or .safetensors"),
    (["resnet20", "--layer", "maps"], "--layer is for --features"),
    (["resnet20", "--flip"], "--flip needs --data"),
    (["resnet20", "--confusion", "c.csv"], "--confusion needs --data"),
    (["resnet20", "--image-size", "8"], "--image-size must be from 16 to 4096"),
    (["resnet20", "--crop", "2"], "--crop must be from 0.1 to 1"),
    (["resnet20", "--features", "f.npy", "--json", "x.png"], "writes no results"),
  ])
  func `A mistake is named`(_ arguments: [String], _ words: String) throws {
    let run = try runTool("zoo-eval", arguments)
    #expect(run.status == 64 && run.errors.contains(words), "\(run.errors)")
  }
}
