import CovariancePooling

/// The head of the zoo's convolutional networks: global average or covariance pooling, perhaps dropout, and a classifier.
/// `[B, C, h, w]` to logits `[B, classes]`.
public struct PoolingHead<Scalar: RealScalar>: Module {
  /// The covariance head; `nil` for global average pooling.
  public var covariancePool: CovariancePool<Scalar>?
  /// What the classifier's inputs go through in training.
  public let dropout: Dropout<Scalar>?
  /// From the pooled vector to logits.
  public var classifier: Linear<Scalar>
  private let classifierName: String

  /// The head that a configuration asks for.
  /// - Parameters:
  ///   - configuration: the network's.
  ///   - channels: of the last feature maps.
  ///   - names: of the parts in checkpoints.
  ///   - eps: of the BatchNorm after the reduction.
  ///   - activation: what follows that BatchNorm.
  ///   - dropout: the share of the pooled vector that training drops.
  public init(
    _ configuration: NetworkConfiguration, channels: Int, names: HeadNames, eps: Double = 1e-5,
    activation: Activation = .relu, dropout: Double = 0
  ) {
    covariancePool = configuration.covariance.map {
      CovariancePool(
        channels: channels, dimension: $0.dimension, normalization: $0.normalization, eps: eps,
        activation: activation, names: (names.reduction, names.norm))
    }
    self.dropout = dropout > 0 ? Dropout(p: dropout) : nil
    let size = configuration.covariance?.representationSize ?? channels
    (classifier, classifierName) = (Linear(inputs: size, outputs: configuration.classes), names.classifier)
  }

  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    if var pool = covariancePool {
      covariancePool = nil  // so that `pool` alone owns the memory
      pool.visitTensors(visit)
      covariancePool = pool
    }
    visit(classifierName, &classifier)
  }

  /// The vector that the classifier sees: `[B, C, h, w]` to `[B, representationSize]`.
  public func pooled(_ features: Tensor<Scalar>) -> Tensor<Scalar> {
    covariancePool.map { $0(features) } ?? features.globalAverage()
  }

  public func callAsFunction(_ features: Tensor<Scalar>) -> Tensor<Scalar> {
    let vector = pooled(features)
    return classifier(dropout.map { $0(vector) } ?? vector)
  }
}
