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
    ("resnet20-fastmpn", "resnet20"), ("resnet20-dropcov", "resnet20-fastmpn"), ("resnet20-svpn", "resnet20-layernorm"),
  ])
  func `A head begins anew on a backbone, whatever head it had`(_ plain: String, _ wanted: String) throws {
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
    #expect(report.warnings.contains { $0.contains("14×14; a plain network has 7×7") }, "\(report.warnings)")
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

  @Test func `Two tensors of one name are an error that names both`() throws {
    let (path, _) = try written("resnet20", classes: 3) { tensors in
      tensors.append(("bn1.gamma", Tensor([16], repeating: 0)))
    }
    defer { try? FileManager.default.removeItem(atPath: path) }
    for _ in 0..<3 {
      let error = #expect(throws: LoadError.self) { try AnyNetwork<Float>.load(configuration("resnet20"), from: path) }
      #expect(
        error?.description.contains("'bn1.weight' and 'bn1.gamma' are both") == true, "\(error?.description ?? "")")
    }
  }

  @Test func `What the metadata say that cannot be is named`() throws {
    let network = hashFilled(try smallConfiguration(.fastmpn))
    let lies = [
      "interpolation": "lanczos", "resize": "-5", "std": "[0]", "mean": "[1, 2]", "crop": "0", "classes": "7", "d": "9",
      "input_channels": "1",
    ]
    let path = try writeNetwork(network, metadata: lies)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let (loaded, report) = try AnyNetwork<Float>.load(configuration("resnet20-fastmpn"), from: path)
    for key in lies.keys { #expect(report.warnings.contains { $0.contains("its \(key) is") }, "\(key)") }
    #expect(loaded.configuration.input == EvaluationTransform.cifar)
  }

  @Test func `Another road to the same function is not another network`() throws {
    for (one, other) in [
      ("newton-schulz", "newton-schulz:form=gram"), ("power", "power:road=svd"), ("power:solver=mrrr", "power"),
      ("taylor", "taylor:gradient=lyapunov"),
    ] {
      #expect(try CovarianceNormalization(one).isSameFunction(as: CovarianceNormalization(other)), "\(other)")
    }
    for (one, other) in [
      ("newton-schulz", "newton-schulz:iterations=7"), ("power", "log"), ("power", "power:exponent=0.3"),
    ] {
      #expect(try !CovarianceNormalization(one).isSameFunction(as: CovarianceNormalization(other)), "\(other)")
    }
  }

  @Test func `Classes and their names do not depend on the size of the images`() throws {
    var configuration = try configuration("resnet18", classes: 10)
    #expect(configuration.classNames() == nil && !configuration.isSmall)
    configuration.input = configuration.input.resized(to: 48)
    #expect(configuration.classNames() == nil && !configuration.isSmall)
    var small = try Zoo.entry(named: "resnet20").configuration
    small.input = small.input.resized(to: 96)
    #expect(small.classNames()?.first == "airplane" && small.isSmall)
  }

  @Test func `A covariance of one position is refused`() throws {
    let error = #expect(throws: ZooError.self) {
      try Zoo.network("mobilenet_v2-fastmpn", randomSeed: 0) { $0.input = $0.input.resized(to: 32) }
    }
    #expect(error?.description.contains("images of 32 px leave feature maps of one position") == true)
    _ = try Zoo.network("mobilenet_v2", randomSeed: 0) { $0.input = $0.input.resized(to: 32) }
  }

  @Test func `A network of nobody's zoo classifies and is saved`() throws {
    /// One convolution before the head.
    struct Tiny: Network {
      let configuration = NetworkConfiguration(
        backbone: "tiny", covariance: CovarianceHead(dimension: 4, normalization: .newtonSchulz()), classes: 3,
        input: .cifar)
      var layer = Conv2d<Float>(inputChannels: 3, outputChannels: 6, kernelSize: 3)
      var head: PoolingHead<Float>
      init() {
        head = PoolingHead(
          configuration, channels: 6, names: HeadNames(reduction: "reduce", norm: "norm", classifier: "classifier"))
      }
      mutating func visitTensors(_ visit: ModuleVisitor<Float>) {
        visit("layer", &layer)
        head.visitTensors(visit)
      }
      func stem(_ x: Tensor<Float>) -> Tensor<Float> { layer(x) }
      func trunk(_ x: Tensor<Float>) -> Tensor<Float> { x.relu() }
    }
    var network = Tiny()
    network.initialize(seed: 3)
    let classifier = Classifier(network)
    let images = Tensor<Float>([2, 3, 32, 32], unit("images", count: 2 * 3 * 1024))
    #expect(try classifier(images).shape == [2, 3] && classifier.model == "tiny-fastmpn.d4")
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).safetensors").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try network.save(to: path)
    var other = Tiny()
    try other.load(contentsOf: path)
    #expect(other.tensors.map(\.tensor.scalars) == network.tensors.map(\.tensor.scalars))
    #expect(throws: ZooError.self) { try Classifier(contentsOf: path) }
  }
}
