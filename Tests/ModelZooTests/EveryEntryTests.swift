import Checkpoints
import Foundation
import ModelZoo
import TestSupport
import Testing

/// What every network of the zoo must be able to do, whichever there are.
@Suite(.serialized) struct EveryEntryTests {
  /// The entry's network with few classes and a small d, so that all of them are quick.
  private static func configuration(_ entry: ZooEntry) -> NetworkConfiguration {
    var configuration = entry.configuration
    configuration.classes = 3
    configuration.covariance?.dimension = 8
    return configuration
  }

  @Test(arguments: Zoo.entries.map(\.name))
  func `A network builds, traces, plans, learns a step, saves and loads`(_ name: String) throws {
    let entry = try Zoo.entry(named: name)
    let configuration = Self.configuration(entry)
    var network = AnyNetwork<Float>(configuration)
    network.initialize(seed: 5)
    let size = configuration.isSmall ? configuration.imageSize : 64
    let shape: Shape = [2, 3, size, size]
    let images = Tensor<Float>(shape, unit("images", count: shape.scalarCount))

    // One plan does what the network does step by step.
    let single = Shape([1] + shape.dropFirst())
    let (logits, parts) = withSettledProcess {
      (network(images), network.head(network.trunk(network.stem(images))))
    }
    #expect(logits.shape == [2, 3])
    let planned = try Plan(network.trace(input: single))(images)
    let scale = logits.scalars.reduce(0) { max($0, abs(Double($1))) }
    #expect(largestError(planned.scalars, logits.scalars.map(Double.init)) <= 2e-4 * max(scale, 1))
    // Stem, trunk and head are the network.
    #expect(parts.scalars == logits.scalars)

    // A step of training moves every parameter that has a gradient, and running statistics.
    let before = network.tensors
    let result = try valueWithGradients(of: network, random: RandomStream(seed: 1, name: "step")) {
      SoftmaxCrossEntropy(labels: [0, 2]).applied(to: $0(images))
    }
    #expect(result.value.item.isFinite && result.gradients.norm.isFinite && result.gradients.norm > 0)
    var optimizer = SGD<Float>(momentum: 0.9)
    optimizer.step(&network, result.gradients, learningRate: 0.01)
    network.apply(result.updates)
    for (old, new) in zip(before, network.tensors) {
      let gradient = result.gradients[old.description.name]
      let isStill = gradient.map { $0.scalars.allSatisfy { $0 == 0 } } ?? false
      #expect(isStill || old.tensor.scalars != new.tensor.scalars, "\(old.description.name)")
    }

    // What is saved names itself, and is the same network again.
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try network.save(to: path)
    let model = try #require(try Zoo.model(ofCheckpoint: path))
    let (loaded, report) = try AnyNetwork<Float>.load(try Zoo.entry(named: model).configuration, from: path)
    #expect(report.isComplete && report.warnings.isEmpty && loaded.configuration.classes == 3)
    // MindSpore's releases are told by their names, which are PyTorch's once a network was saved.
    if configuration.flavour == .pytorch { #expect(loaded.configuration == configuration) }
    for (one, other) in zip(network.tensors, loaded.tensors) {
      #expect(one.tensor.scalars == other.tensor.scalars, "\(one.description.name)")
    }
    // Without the metadata, tensors alone tell the backbone and whether there is a covariance head.
    try writeSafetensors(network.namedTensors, metadata: [:], to: path)
    let likely = try #require(try Zoo.model(ofCheckpoint: path))
    let found = try Zoo.entry(named: likely).configuration
    #expect(found.backbone == configuration.backbone && (found.covariance == nil) == (configuration.covariance == nil))
  }

  @Test func `An alias leads to a network that is listed or can be`() throws {
    for architecture in Zoo.architectures {
      for (alias, name) in architecture.aliases {
        #expect(try Zoo.entry(named: alias).configuration == Zoo.entry(named: name).configuration, "\(alias)")
      }
    }
  }

  @Test func `Names that checkpoints put before all tensors are taken off, whatever the architecture`() throws {
    for architecture in Zoo.architectures {
      let entry = try #require(architecture.entries.first)
      let network = AnyNetwork<Float>(Self.configuration(entry))
      for prefix in ["module.", "model.", "module.model.", "features.module."] {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let tensors = network.tensors.map { description, tensor in
          (
            name: renamed(description.name, prefix),
            tensor: Tensor(tensor.shape, hashValues(description.name, tensor.shape))
          )
        }
        try writeSafetensors(tensors, metadata: [:], to: path)
        #expect(try Zoo.model(ofCheckpoint: path) == entry.configuration.backbone, "\(prefix)")
        let (_, report) = try AnyNetwork<Float>.load(entry.configuration, from: path)
        #expect(report.isComplete)
      }
    }
  }

  /// The name below a prefix; where a sequence is called `features`, what PyTorch's example for such networks makes of it.
  private func renamed(_ name: String, _ prefix: String) -> String {
    guard prefix == "features.module.", name.hasPrefix("features.") else { return prefix + name }
    return prefix + name.dropFirst("features.".count)
  }

  @Test func `A checkpoint of one architecture asked for as another is named`() throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    for architecture in Zoo.architectures {
      let own = try #require(architecture.entries.first)
      let tensors = AnyNetwork<Float>(Self.configuration(own)).tensors.map { description, tensor in
        (name: description.name, tensor: Tensor(tensor.shape, hashValues(description.name, tensor.shape)))
      }
      try writeSafetensors(tensors, metadata: [:], to: path)
      for other in Zoo.architectures where other != architecture {
        let asked = try #require(other.entries.first)
        let error = #expect(throws: LoadError.self) {
          try AnyNetwork<Float>.load(asked.configuration, from: path)
        }
        #expect(error?.description.contains("use \(own.configuration.backbone)") == true, "\(error?.description ?? "")")
      }
    }
  }
}
