import Inference
import Vision

/// A network that gives what it makes of images instead of classifying them.
public final class FeatureExtractor: Sendable {
  /// Where the network is cut off.
  public enum Layer: String, CaseIterable, Sendable {
    /// The last feature maps, `[C, h, w]` for each image.
    case maps
    /// The feature maps after the reduction, whose covariance is taken, `[d, h, w]`.
    case reduced
    /// The vector that the classifier sees: `[C]`, or with a covariance head `[d (d + 1) / 2]`.
    case representation
  }

  /// The structure of the network.
  public let configuration: NetworkConfiguration
  /// Where it is cut off.
  public let layer: Layer
  private let plan: Plan<Float>

  /// How an image becomes the network's input.
  public var transform: EvaluationTransform { configuration.input }
  /// The shape of one image's features.
  public var outputShape: Shape { plan.outputShape }

  /// A network whose tensors have values, cut off at a layer.
  /// - Throws: `ZooError.noCovariance` where there is nothing reduced.
  public init(_ network: some Network<Float>, layer: Layer = .representation) throws(ZooError) {
    (configuration, self.layer) = (network.configuration, layer)
    if layer == .reduced, network.head.covariancePool == nil { throw .noCovariance(network.configuration.name) }
    plan = Plan(
      network.trace(input: network.configuration.inputShape) { network, x in
        switch layer {
        case .maps: network.features(x)
        case .reduced: network.reducedFeatures(x)
        case .representation: network.representation(x)
        }
      })
  }

  /// The network that a checkpoint says it is, or looks like.
  /// - Throws: `ZooError`, `CheckpointError`, `LoadError`.
  public convenience init(contentsOf path: String, layer: Layer = .representation) throws {
    guard let model = try Zoo.model(ofCheckpoint: path) else { throw ZooError.unrecognized(path) }
    try self.init(Zoo.network(model, checkpoint: path).network, layer: layer)
  }

  /// Features of a batch: `[B, C, H, W]`, as `transform` makes it, to `[B]` + `outputShape`.
  /// - Throws: for the first image that the network has no finite result for.
  public func callAsFunction(_ images: Tensor<Float>) throws(NumericalFailure) -> Tensor<Float> { try plan(images) }

  /// The features of one image, `outputShape`.
  /// - Throws: where the network has no finite result for it.
  public func callAsFunction(_ image: Image) throws(NumericalFailure) -> Tensor<Float> {
    try self(transform.tensor(image)).reshaped(to: outputShape.dimensions)
  }

  /// Asks whether there is memory for batches of this size.
  /// - Throws: where there is not: what it takes and what there is.
  public func checkMemory(forBatchesOf batchSize: Int, inputs: Int = 1) throws(MemoryError) {
    try plan.checkMemory(forBatchesOf: batchSize, inputs: inputs, name: configuration.name)
  }
}
