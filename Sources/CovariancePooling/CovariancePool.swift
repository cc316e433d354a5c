/// The head of a covariance pooling network: 1×1 reduction to d channels, BatchNorm, ReLU, covariance, normalisation
/// and upper triangle. `[B, C, h, w]` to `[B, d (d + 1) / 2]`.
public struct CovariancePool<Scalar: RealScalar>: Module {
  /// The reduction C → d.
  public var reduction: Conv2d<Scalar>
  /// The BatchNorm after it.
  public var reductionNorm: BatchNorm2d<Scalar>
  /// What follows the BatchNorm.
  public let activation: Activation
  /// What is made of the covariance.
  public let normalization: CovarianceNormalization
  /// What the normalisation learns, as its `parameters(dimension:)` lists it.
  public var parameters: [Tensor<Scalar>]
  private let names: (reduction: String, norm: String)

  /// A head for features `[B, channels, H, W]`, without values.
  /// - Parameters:
  ///   - channels: of the features.
  ///   - dimension: channels d that they are reduced to.
  ///   - normalization: what is made of the covariance.
  ///   - eps: of the BatchNorm after the reduction.
  ///   - activation: what follows that BatchNorm.
  ///   - names: of reduction and BatchNorm in checkpoints.
  public init(
    channels: Int, dimension: Int, normalization: CovarianceNormalization, eps: Double = 1e-5,
    activation: Activation = .relu, names: (reduction: String, norm: String) = ("layer_reduce", "layer_reduce_bn")
  ) {
    reduction = Conv2d(inputChannels: channels, outputChannels: dimension, kernelSize: 1)
    reductionNorm = BatchNorm2d(dimension, eps: eps)
    (self.activation, self.normalization, self.names) = (activation, normalization, names)
    parameters = normalization.normalizer.parameters(dimension: dimension).map { .uninitialized($0.shape) }
  }

  /// Channels d after the reduction.
  public var dimension: Int { reductionNorm.weight.shape[0] }

  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit(names.reduction, &reduction)
    visit(names.norm, &reductionNorm)
    for (index, parameter) in normalization.normalizer.parameters(dimension: dimension).enumerated() {
      visit(parameter.name, &parameters[index], parameter.role, initially: parameter.initializer)
    }
  }

  /// The features whose covariance is taken: `[B, C, h, w]` to `[B, d, h, w]`.
  public func reduced(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    reductionNorm.rectified(reduction(x), by: activation)
  }

  public func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> { pooled(reduced(x)) }

  /// `[B, d, …]` to the vector `[B, d (d + 1) / 2]`: feature maps `[B, d, h, w]` and sequences `[B, d, N]` alike.
  public func pooled(_ features: Tensor<Scalar>) -> Tensor<Scalar> {
    let normalizer = normalization.normalizer
    var features = features
    if let tape = features.recording?.tape, tape.isTraining {
      features = normalizer.prepared(features, parameters, on: tape)
    }
    let matrix = normalizer.matrixSteps.reduce(features) { $1($0, parameters) }
    return normalizer.vectorSteps.reduce(UpperTriangle().applied(to: matrix)) { $1($0, parameters) }
  }
}
