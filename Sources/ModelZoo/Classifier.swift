import Checkpoints
import Foundation
@_exported import Inference
@_exported import Vision

/// A network ready to classify images: weights loaded, plan made, and what its images must look like.
public final class Classifier: Sendable {
  /// The zoo's name of the network as it was loaded.
  public let model: String
  /// The structure, as overridden by the checkpoint.
  public let configuration: NetworkConfiguration
  /// What was loaded, or `nil` for random weights.
  public let report: LoadReport?
  /// A name for each class, where they are known.
  public let classNames: [String]?
  /// Parameters and multiply-adds.
  public let counts: NetworkCounts
  private let plan: Plan<Float>

  /// How an image becomes the network's input.
  public var transform: EvaluationTransform { configuration.input }

  /// A network of the zoo with the weights of a checkpoint: PyTorch, MindSpore or safetensors, told by its content.
  ///
  /// The checkpoint's flavour, d, class count and input win over the name's. Without a checkpoint a network that comes with
  /// the package (`Zoo.namesInTheBox`) has those weights; any other has random ones, which serve to measure speed and nothing
  /// else.
  /// - Parameters:
  ///   - model: a name such as `resnet50-fastmpn`; `Zoo.entries` has them all.
  ///   - checkpoint: the file's path.
  ///   - randomSeed: makes random weights of this seed, even where there are others in the box.
  ///   - algorithm: how to convolve, wherever it applies; by default what is best for each convolution.
  ///   - adjust: changes what is to differ from the network that was trained: its normalisation, its input.
  /// - Throws: `ZooError`, `CheckpointError`, `LoadError`.
  public convenience init(
    _ model: String, checkpoint: String? = nil, randomSeed: UInt64? = nil, algorithm: ConvolutionAlgorithm? = nil,
    adjust: (inout NetworkConfiguration) throws -> Void = { _ in }
  ) throws {
    let (network, report) = try Zoo.network(model, checkpoint: checkpoint, randomSeed: randomSeed, adjust: adjust)
    self.init(network, report: report, algorithm: algorithm)
  }

  /// The network that a checkpoint says it is, or looks like.
  /// - Throws: `ZooError.unrecognized` where it is none of the zoo's; `CheckpointError`, `LoadError`.
  public convenience init(contentsOf path: String, algorithm: ConvolutionAlgorithm? = nil) throws {
    guard let model = try Zoo.model(ofCheckpoint: path) else { throw ZooError.unrecognized(path) }
    try self.init(model, checkpoint: path, algorithm: algorithm)
  }

  /// A network whose tensors have values.
  public init(_ network: some Network<Float>, report: LoadReport? = nil, algorithm: ConvolutionAlgorithm? = nil) {
    configuration = network.configuration
    model = configuration.name
    self.report = report
    classNames = configuration.classNames(metadata: report?.metadata ?? [:])
    counts = NetworkCounts(network)
    plan = Plan(network.trace(input: configuration.inputShape), algorithm: algorithm)
  }

  /// Logits for a batch: `[B, C, H, W]`, as `transform` makes it, to `[B, classes]`; each image's are the same to the bit in
  /// any batch and for any number of threads.
  /// - Throws: for the first image that the network has no finite result for.
  public func callAsFunction(_ images: Tensor<Float>) throws(NumericalFailure) -> Tensor<Float> { try plan(images) }

  /// Asks whether there is memory for batches of this size.
  /// - Parameters:
  ///   - batchSize: images.
  ///   - inputs: how many batches of images wait while one is worked on.
  /// - Throws: where there is not: what it takes and what there is.
  public func checkMemory(forBatchesOf batchSize: Int, inputs: Int = 1) throws(MemoryError) {
    try plan.checkMemory(forBatchesOf: batchSize, inputs: inputs, name: model)
  }

  /// What each step takes with this batch: `Plan.profile`.
  /// - Throws: for the first image that the network has no finite result for.
  public func profile(_ images: Tensor<Float>, runs: Int = 10) throws(NumericalFailure) -> [StepProfile] {
    try plan.profile(images, runs: runs)
  }

  /// The likeliest classes of an image.
  /// - Throws: where the network has no finite result for it.
  public func classify(_ image: Image, top count: Int = 5) throws(NumericalFailure) -> [Prediction] {
    let probabilities = try self(transform.tensor(image)).softmax()
    return probabilities.withUnsafeScalars { scores in
      topK(scores, count).map {
        Prediction(index: $0.index, name: name($0.index), probability: $0.value)
      }
    }
  }

  /// The likeliest classes of the JPEG or PNG at `path`.
  /// - Throws: `ImageError`; `EvaluationError` where the network has no finite result for it.
  public func classify(contentsOf path: String, top count: Int = 5) throws -> [Prediction] {
    let image = try Image(contentsOf: path)
    do {
      return try classify(image, top: count)
    } catch {
      throw EvaluationError(path: path, failure: error)
    }
  }

  /// A class's name, or its index where names are not known.
  public func name(_ index: Int) -> String {
    guard let classNames, classNames.indices.contains(index) else { return "class \(index)" }
    return classNames[index]
  }
}

/// A class and how likely the network finds it.
public struct Prediction: Sendable {
  /// The class, from 0.
  public let index: Int
  /// What the class is called.
  public let name: String
  /// Between 0 and 1.
  public let probability: Float
}
