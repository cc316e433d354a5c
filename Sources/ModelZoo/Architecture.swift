import Vision

/// A kind of network: how its members are called, made, and recognised in checkpoints, and what was published of them.
///
/// An architecture is a folder that holds its module, a type that conforms to this, and a table; and a line in
/// `Zoo.architectures`. Nothing else names it.
public protocol Architecture: Sendable {
  /// The backbones by name, in the order in which they are listed.
  static var backbones: [String] { get }

  /// What a backbone is called in prose: `ResNet-50`.
  static func title(_ backbone: String) -> String

  /// What a network with this backbone is as released: classes, and d where it is given a covariance head.
  /// - Returns: `nil` where there is no such release.
  static func release(_ backbone: String, flavour: Flavour) -> (dimension: Int, classes: Int)?

  /// What images with so many channels must look like.
  static func input(_ backbone: String, channels: Int) -> EvaluationTransform

  /// A network without values.
  static func network<Scalar: RealScalar>(_ configuration: NetworkConfiguration) -> any Network<Scalar>

  /// How its networks are trained, by name: LRnorm, LRfast, LRadju, small and finetune.
  static var recipes: [Recipe] { get }

  /// The networks that are listed, with what was published of them.
  static var entries: [ZooEntry] { get }

  /// Other names by which a network is known, and what it is called here.
  static var aliases: [String: String] { get }

  /// Tensors by which a checkpoint of such a network is known; the first is the weight that sees the images.
  static var marks: [String] { get }

  /// What the parts of the head are called in checkpoints.
  static func headNames(_ configuration: NetworkConfiguration) -> HeadNames

  /// What a checkpoint's names say of whose code wrote it.
  static func flavour(of names: some Collection<String>) -> Flavour

  /// The module's name for a tensor of a checkpoint; `nil` for what is no part of the network.
  static func tensorName(_ name: String, flavour: Flavour) -> String?

  /// The backbone that a checkpoint's tensors, by the module's names, are those of; `nil` where they are those of none.
  static func backbone(of shapes: [String: Shape]) -> String?
}

extension Architecture {
  public static var aliases: [String: String] { [:] }
  public static var recipes: [Recipe] { Recipe.named }

  public static func input(_ backbone: String, channels: Int) -> EvaluationTransform {
    channels == 1 ? .imageNetGrey : .imageNet
  }

  public static func flavour(of names: some Collection<String>) -> Flavour { .pytorch }

  public static func tensorName(_ name: String, flavour: Flavour) -> String? {
    // Batches that BatchNorm counted, and weights that were averaged.
    name.hasSuffix("num_batches_tracked") || name == "n_averaged" ? nil : name
  }

  /// The released network with this backbone and normalisation.
  /// - Parameter normalization: `nil` for global average pooling.
  /// - Returns: `nil` where there is no such release.
  static func configuration(
    _ backbone: String, _ normalization: CovarianceNormalization?, flavour: Flavour = .pytorch
  ) -> NetworkConfiguration? {
    release(backbone, flavour: flavour).map { release in
      NetworkConfiguration(
        backbone: backbone, flavour: flavour,
        covariance: normalization.map { CovarianceHead(dimension: release.dimension, normalization: $0) },
        classes: release.classes, input: input(backbone, channels: 3))
    }
  }
}

/// What the parts of a head are called in checkpoints.
public struct HeadNames: Sendable {
  /// The reduction before the covariance, the BatchNorm after it, the classifier.
  public var reduction, norm, classifier: String

  /// Names of an architecture.
  public init(reduction: String, norm: String, classifier: String) {
    (self.reduction, self.norm, self.classifier) = (reduction, norm, classifier)
  }
}
