import Checkpoints
import Foundation
import ModelZoo
import Testing
import ToolTestSupport

@Suite struct BoxTests {
  private static let models = ["resnet20", "resnet20-fastmpn", "resnet20-mpn", "resnet20-dropcov"]

  @Test(arguments: models)
  func `A network in the box fits the repository and says how it came about`(_ model: String) throws {
    let path = try box(model)
    let size = try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
    #expect(size <= 2 << 20)
    let metadata = try Checkpoint(contentsOf: path).metadata
    #expect(metadata["model"] == model && metadata["recipe"] == "fashion-mnist" && metadata["input_channels"] == "1")
    #expect((metadata["validation_top1"].flatMap(Double.init) ?? 0) >= (model == "resnet20" ? 93.5 : 93))
  }

  @Test(.enabled(if: FashionMNIST.isInstalled, "Fashion-MNIST is not installed"), arguments: models)
  func `Without options it is evaluated on Fashion-MNIST, with the accuracy that training ended with`(
    _ model: String
  ) throws {
    let scratch = try Scratch()
    let run = try zooEval(model, "--results", scratch.path + "/r.json")
    #expect(run.status == 0 && run.output.contains("the network in the box"), "\(run.errors)")
    let json = try JSONSerialization.jsonObject(with: Data(scratch.read("r.json").utf8)) as? [String: Any]
    let metadata = try Checkpoint(contentsOf: try box(model)).metadata
    let trained = try #require(metadata["validation_top1"].flatMap(Double.init))
    #expect(json?["images"] as? Int == 10_000)
    // Two images of 10,000 may be so close to call that another algorithm's rounding decides.
    #expect(abs((json?["top1"] as? Double ?? 0) - trained) < 0.025)
  }

  @Test func `Weights in the box are used wherever no others are named, and said`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 3)
    let run = try zooEval("resnet20", "--data", scratch.path + "/data")
    #expect(run.status == 0 && run.errors.contains("not Fashion-MNIST, which the network in the box was trained on"))
    #expect(run.output.hasPrefix("weights: the network in the box"))
    let explained = try zooEval("resnet20-mpn", "--explain", "--batch-size", "1")
    #expect(explained.output.hasPrefix("weights: the network in the box") && explained.errorLines.isEmpty)
    // An image, by the tool and by the library, with the same weights.
    let picture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(
      path: "../VisionTests/Resources/odd_420.jpg"
    ).path
    let image = try zooEval("resnet20-fastmpn", picture)
    let checkpoint = try box("resnet20-fastmpn")
    let wanted = try Classifier("resnet20-fastmpn", checkpoint: checkpoint).classify(contentsOf: picture)
    let found = try Classifier("resnet20-fastmpn").classify(contentsOf: picture)
    #expect(found.map(\.probability) == wanted.map(\.probability) && found.map(\.name) == wanted.map(\.name))
    #expect(image.status == 0 && image.errorLines.isEmpty && image.output.contains(wanted[0].name))
    // Random weights are there for who asks for them.
    let random = try zooEval("resnet20-fastmpn", "--random-weights", "--batch-size", "1")
    #expect(random.status == 0 && random.output.contains("weights are random"))
    let other = try Classifier("resnet20-fastmpn", randomSeed: 1).classify(contentsOf: picture)
    #expect(other.map(\.probability) != wanted.map(\.probability))
    let none = try Zoo.checkpointInTheBox("resnet18")
    #expect(none == nil)
  }
}

/// The checkpoint of a network in the box.
func box(_ model: String) throws -> String {
  let path = try Zoo.checkpointInTheBox(model)
  return try #require(path)
}
