import Checkpoints
import Foundation
import ModelZoo
import Testing
import ToolTestSupport

@Suite struct BoxTests {
  private static let models = ["resnet20", "resnet20-fastmpn", "resnet20-mpn", "resnet20-dropcov"]

  @Test(arguments: models)
  func `A network in the box fits the repository and says how it came about`(_ model: String) throws {
    let path = try #require(Zoo.checkpointInTheBox(model))
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
    let metadata = try Checkpoint(contentsOf: try #require(Zoo.checkpointInTheBox(model))).metadata
    let trained = try #require(metadata["validation_top1"].flatMap(Double.init))
    #expect(json?["images"] as? Int == 10_000)
    // Two images of 10,000 may be so close to call that another algorithm's rounding decides.
    #expect(abs((json?["top1"] as? Double ?? 0) - trained) < 0.025)
  }

  @Test func `Networks in the box are for no other images`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 3)
    let run = try zooEval("resnet20", "--data", scratch.path + "/data")
    #expect(run.status == 0 && run.errors.contains("weights are random"))
    #expect(Zoo.checkpointInTheBox("resnet18") == nil)
  }
}
