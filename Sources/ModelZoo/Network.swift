@_exported import CovariancePooling

/// A network of the zoo: a module that classifies images, and what everybody who uses one needs to know of it.
///
/// `[B, C, H, W]` to logits `[B, classes]`, by way of three parts that analyses look at: `stem` and `trunk` make feature
/// maps, `head` pools and classifies them.
public protocol Network<Scalar>: Module {
  /// What decided the structure.
  var configuration: NetworkConfiguration { get }

  /// The first layers: `[B, C, H, W]` to the feature maps that the trunk begins with.
  func stem(_ x: Tensor<Scalar>) -> Tensor<Scalar>

  /// From the stem's feature maps to the last, `[B, C′, H′, W′]`.
  func trunk(_ x: Tensor<Scalar>) -> Tensor<Scalar>

  /// Pooling and classifier.
  var head: PoolingHead<Scalar> { get }
}

extension Network {
  /// The last feature maps: `[B, C, H, W]` to `[B, C′, H′, W′]`.
  public func features(_ x: Tensor<Scalar>) -> Tensor<Scalar> { trunk(stem(x)) }

  /// The features whose covariance a covariance head takes: `[B, C, H, W]` to `[B, d, H′, W′]`.
  /// - Precondition: the network has a covariance head.
  public func reducedFeatures(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    guard let pool = head.covariancePool else { preconditionFailure("\(configuration.name) has no covariance head") }
    return pool.reduced(features(x))
  }

  /// The vector that the classifier sees: `[B, C, H, W]` to `[B, representationSize]`.
  public func representation(_ x: Tensor<Scalar>) -> Tensor<Scalar> { head.pooled(features(x)) }

  public func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> { head(features(x)) }
}

/// A network of any architecture.
public struct AnyNetwork<Scalar: RealScalar>: Network {
  private var base: any Network<Scalar>

  /// The network with this structure, without values: `initialize(seed:)` it or load a checkpoint.
  public init(_ configuration: NetworkConfiguration) { base = configuration.architecture.network(configuration) }

  /// A network of which no more than that is to be known.
  public init(_ base: any Network<Scalar>) { self.base = base }

  public var configuration: NetworkConfiguration { base.configuration }
  public var head: PoolingHead<Scalar> { base.head }
  public mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) { base.visitTensors(visit) }
  public func stem(_ x: Tensor<Scalar>) -> Tensor<Scalar> { base.stem(x) }
  public func trunk(_ x: Tensor<Scalar>) -> Tensor<Scalar> { base.trunk(x) }
}
