/// What is made of a covariance before it is classified.
public enum CovarianceNormalization: Hashable, Sendable {
  /// Nothing.
  case none
  /// Adaptive channel dropout while training, nothing at inference (DropCov, Wang et al. 2022).
  case dropCov
  /// An approximate square root by Newton–Schulz iterations (Fast-MPN).
  case newtonSchulz(iterations: Int = 5, scaling: NewtonSchulz.Scaling = .trace)
  /// The exact power Σ^exponent by eigendecomposition (MPN, Li et al. 2017); ½ is the square root.
  case power(Double = 0.5)
}

/// The head of a covariance pooling network: 1×1 reduction to d channels, BatchNorm, ReLU, covariance, normalisation
/// and upper triangle. `[B, C, h, w]` to `[B, d (d + 1) / 2]`.
public struct CovariancePool<Scalar: RealScalar>: Module {
  /// The reduction C → d.
  public var reduction: Conv2d<Scalar>
  /// The BatchNorm after it.
  public var reductionNorm: BatchNorm2d<Scalar>
  /// DropCov's channel attention, used in training only.
  public var attention: ChannelConv1d<Scalar>?
  /// What is made of the covariance.
  public var normalization: CovarianceNormalization

  /// A head for features of `channels` channels, reduced to `dimension`.
  public init(channels: Int, dimension: Int, normalization: CovarianceNormalization, eps: Double = 1e-5) {
    reduction = Conv2d(channels, dimension, kernel: 1)
    reductionNorm = BatchNorm2d(dimension, eps: eps)
    attention = normalization == .dropCov ? ChannelConv1d(kernel: 3) : nil
    self.normalization = normalization
  }

  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("layer_reduce", &reduction)
    visit("layer_reduce_bn", &reductionNorm)
    visit("eca_layer.conv", &attention)
  }

  /// The features whose covariance is taken: `[B, C, h, w]` to `[B, d, h, w]`.
  public func reduced(_ x: Tensor<Scalar>) -> Tensor<Scalar> { reductionNorm(reduction(x)).relu() }

  public func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    UpperTriangle().applied(to: normalizedCovariance(reduced(x)))
  }

  /// `[B, d, h, w]` to `[B, d, d]`.
  private func normalizedCovariance(_ features: Tensor<Scalar>) -> Tensor<Scalar> {
    switch normalization {
    case .dropCov:
      guard let attention, let tape = attention.weight.recording?.tape, tape.isTraining else { fallthrough }
      return Covariance().applied(to: DropCov.applied(to: features, attention: attention, on: tape))
    case .none:
      return Covariance().applied(to: features)
    case .newtonSchulz(let iterations, let scaling):
      return NewtonSchulz(iterations: iterations, scaling: scaling).applied(to: Covariance().applied(to: features))
    case .power(let exponent):
      return CovariancePower(exponent: exponent).applied(to: features)
    }
  }
}
