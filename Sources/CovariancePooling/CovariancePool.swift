/// The head of a covariance pooling network: 1×1 reduction to d channels, BatchNorm, ReLU, covariance, normalisation
/// and upper triangle. `[B, C, h, w]` to `[B, d (d + 1) / 2]`.
public struct CovariancePool<Scalar: RealScalar>: Module {
  /// The reduction C → d.
  public var reduction: Conv2d<Scalar>
  /// The BatchNorm after it.
  public var reductionNorm: BatchNorm2d<Scalar>
  /// DropCov's channel attention, used in training only.
  public var attention: ChannelConv1d<Scalar>?
  /// What the normalisation learns: svPN's vector `[d]`, the factor `[1]` of a scale, layer normalisation's weight
  /// `[d (d + 1) / 2]`.
  public var normalizationWeight: Tensor<Scalar>?
  /// Layer normalisation's bias, `[d (d + 1) / 2]`.
  public var normalizationBias: Tensor<Scalar>?
  /// What is made of the covariance. One that learns has tensors, so it is chosen when the head is made.
  public package(set) var normalization: CovarianceNormalization

  /// A head for features of `channels` channels, reduced to `dimension`.
  public init(channels: Int, dimension: Int, normalization: CovarianceNormalization, eps: Double = 1e-5) {
    reduction = Conv2d(channels, dimension, kernel: 1)
    reductionNorm = BatchNorm2d(dimension, eps: eps)
    self.normalization = normalization
    let vectorSize = dimension * (dimension + 1) / 2
    switch normalization {
    case .dropCov: attention = ChannelConv1d(kernel: 3)
    case .singularValue: normalizationWeight = .uninitialized([dimension])
    case .scale: normalizationWeight = .uninitialized([1])
    case .layerNorm:
      (normalizationWeight, normalizationBias) = (.uninitialized([vectorSize]), .uninitialized([vectorSize]))
    default: break
    }
  }

  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    let dimension = reductionNorm.weight.shape[0]
    visit("layer_reduce", &reduction)
    visit("layer_reduce_bn", &reductionNorm)
    visit("eca_layer.conv", &attention)
    // A scale begins where the vector's entries have mean square 1.
    let root = (Double(dimension * (dimension + 1)) / 2).squareRoot()
    visit("normalization.weight", &normalizationWeight, initially: normalization == .scale ? .constant(root) : .ones)
    visit("normalization.bias", &normalizationBias, initially: .zeros)
  }

  /// The features whose covariance is taken: `[B, C, h, w]` to `[B, d, h, w]`.
  public func reduced(_ x: Tensor<Scalar>) -> Tensor<Scalar> { reductionNorm.rectified(reduction(x)) }

  public func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> { pooled(reduced(x)) }

  /// `[B, d, …]` to the vector `[B, d (d + 1) / 2]`: feature maps `[B, d, h, w]` and sequences `[B, d, N]` alike.
  public func pooled(_ features: Tensor<Scalar>) -> Tensor<Scalar> {
    var features = features
    if let attention, let tape = attention.weight.recording?.tape, tape.isTraining {
      features = DropCov.applied(to: features, attention: attention, on: tape)
    }
    var matrix = normalization.matrixOperations.reduce(features) { $1.applied(to: $0) }
    if normalization == .singularValue { matrix = SingularValueNormalization().applied(to: matrix, weight) }
    let vector = normalization.vectorOperations.reduce(UpperTriangle().applied(to: matrix)) { $1.applied(to: $0) }
    switch normalization {
    case .scale: return Scaling().applied(to: vector, weight)
    case .layerNorm: return LayerNormalization().applied(to: vector, weight, normalizationBias ?? weight)
    default: return vector
    }
  }

  /// What a normalisation that learns has learned.
  private var weight: Tensor<Scalar> {
    guard let normalizationWeight else { preconditionFailure("\(normalization) was chosen without its weight") }
    return normalizationWeight
  }
}

/// x · w for one learned factor w `[1]`.
private struct Scaling: TensorOperation {
  func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 2 && inputs[1] == [1], "expected a tensor and a factor [1]", inputs)
    return inputs[0]
  }

  func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    scaled(inputs[0].pointer, by: inputs[1].pointer[0], into: result.baseAddress!, count: result.count)
  }

  var pullbackNeeds: PullbackNeeds { .inputs }

  func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (x, factor) = (application.inputs[0], application.inputs[1])
    let product = dot(gradient.pointer, x.pointer, count: x.scalarCount)
    return [forward([gradient, factor]), Tensor([1], [Scalar(product)])]
  }
}
