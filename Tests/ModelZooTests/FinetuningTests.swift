import Checkpoints
import Foundation
import ModelZoo
import TestSupport
import Testing
import ToolTestSupport

/// Parts of checkpoints in other networks.
@Suite struct FinetuningTests {
  /// Writes a network with values made from names; `change` may spoil them.
  private func written(
    _ name: String, classes: Int, change: (inout [(name: String, tensor: Tensor<Float>)]) -> Void = { _ in }
  ) throws -> (path: String, network: AnyNetwork<Float>) {
    let network = hashFilled(try configuration(name, classes: classes, dimension: 8))
    return (try writeNetwork(network, change: change), network)
  }

  @Test(arguments: [
    ("resnet20", "resnet20-fastmpn"), ("mobilenet_v2", "mobilenet_v2-svpn"),
    ("shufflenet_v2_x0_5", "shufflenet_v2_x0_5-dropcov"),
  ])
  func `A covariance head is put on a plain backbone`(_ plain: String, _ wanted: String) throws {
    let (path, original) = try written(plain, classes: 5)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let asked = try configuration(wanted, classes: 3, dimension: 6)
    let (network, report) = try AnyNetwork<Float>.withBackbone(asked, from: path, seed: 4)
    #expect(network.configuration == asked)
    #expect(report.warnings.contains { $0.contains("the head begins anew") }, "\(report.warnings)")
    let values = Dictionary(uniqueKeysWithValues: original.tensors.map { ($0.description.name, $0.tensor.scalars) })
    let head = ParameterGroup(network.headPrefixes)
    var fresh = AnyNetwork<Float>(asked)
    fresh.initialize(seed: 4)
    for (one, new) in zip(network.tensors, fresh.tensors) {
      let name = one.description.name
      #expect(one.tensor.scalars == (head.contains(name) ? new.tensor.scalars : values[name]), "\(name)")
    }
  }

  @Test func `A stride that is removed is said`() throws {
    let (path, _) = try written("resnet18", classes: 5)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let asked = try configuration("resnet18-fastmpn", classes: 3, dimension: 6)
    let (_, report) = try AnyNetwork<Float>.withBackbone(asked, from: path, seed: 4)
    #expect(report.warnings.contains { $0.contains("14×14 in place of 7×7") }, "\(report.warnings)")
  }

  @Test func `A backbone that does not fit is a list`() throws {
    let (path, _) = try written("resnet20", classes: 5) { tensors in tensors.removeAll { $0.name == "bn1.weight" } }
    defer { try? FileManager.default.removeItem(atPath: path) }
    let error = #expect(throws: LoadError.self) {
      try AnyNetwork<Float>.withBackbone(configuration("resnet20-mpn"), from: path, seed: 0)
    }
    #expect(error?.description.contains("missing: bn1.weight") == true, "\(error?.description ?? "")")
    let other = #expect(throws: LoadError.self) {
      try AnyNetwork<Float>.withBackbone(configuration("mobilenet_v2-mpn"), from: path, seed: 0)
    }
    #expect(other?.description.contains("use resnet20") == true, "\(other?.description ?? "")")
  }

  @Test func `What is frozen does not move, and its normalisation keeps its statistics`() throws {
    var network = AnyNetwork<Float>(try smallConfiguration(.fastmpn))
    network.initialize(seed: 2)
    let images = Tensor<Float>([4, 3, 32, 32], unit("images", count: 4 * 3 * 32 * 32))
    let frozen = ParameterGroup(network.backbonePrefixes)
    let before = network.tensors
    let step = try valueWithGradients(of: network, frozen: frozen) {
      SoftmaxCrossEntropy(labels: [0, 1, 2, 0]).applied(to: $0(images))
    }
    #expect(step.gradients.names.allSatisfy { !frozen.contains($0) } && !step.gradients.names.isEmpty)
    #expect(step.updates.allSatisfy { !frozen.contains($0.name) } && !step.updates.isEmpty)
    var optimizer = AdamW<Float>(weightDecay: 0.1)
    optimizer.step(&network, step.gradients, learningRate: 0.1)
    network.apply(step.updates)
    for (old, new) in zip(before, network.tensors) {
      #expect(
        (old.tensor.scalars == new.tensor.scalars) == frozen.contains(old.description.name), "\(old.description.name)")
    }
  }

  @Test func `An extractor gives what the network makes of images`() throws {
    let network = hashFilled(try smallConfiguration(.fastmpn))
    let images = Tensor<Float>([2, 3, 32, 32], unit("images", count: 2 * 3 * 32 * 32))
    for (layer, wanted) in [
      (FeatureExtractor.Layer.maps, network.features(images)), (.reduced, network.reducedFeatures(images)),
      (.representation, network.representation(images)),
    ] {
      let extractor = try FeatureExtractor(network, layer: layer)
      let found = try extractor(images)
      #expect(found.shape == wanted.shape && extractor.outputShape.dimensions == Array(wanted.shape.dropFirst()))
      let scale = wanted.scalars.reduce(0) { max($0, abs(Double($1))) }
      #expect(largestError(found.scalars, wanted.scalars.map(Double.init)) <= 1e-4 * scale)
    }
    let plain = hashFilled(try smallConfiguration(.gap))
    #expect(throws: ZooError.self) { try FeatureExtractor(plain, layer: .reduced) }
  }

  @Test func `A module of one's own is loaded strictly by name`() throws {
    let (path, network) = try written("resnet20", classes: 3)
    defer { try? FileManager.default.removeItem(atPath: path) }
    /// One layer of the file under a name of its own.
    struct Part: Module {
      var layer = Conv2d<Float>(inputChannels: 3, outputChannels: 16, kernelSize: 3)
      mutating func visitTensors(_ visit: ModuleVisitor<Float>) { visit("first", &layer) }
      func callAsFunction(_ x: Tensor<Float>) -> Tensor<Float> { layer(x) }
    }
    var part = Part()
    let report = try part.load(contentsOf: path) { $0 == "conv1.weight" ? "first.weight" : nil }
    #expect(report.isComplete && part.layer.weight.scalars == network.tensors[0].tensor.scalars)
    #expect(throws: LoadError.self) { try part.load(contentsOf: path) }
  }
}
