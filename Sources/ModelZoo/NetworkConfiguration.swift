import CovariancePooling
import Tensors
import Vision

/// Whose code a network follows where the published codes differ: padding, BatchNorm's eps, names in checkpoints.
public enum Flavour: String, CaseIterable, Hashable, Sendable, Codable {
  /// The PyTorch releases.
  case pytorch
  /// The MindSpore releases.
  case mindspore
}

/// Pooling by covariances.
public struct CovarianceHead: Hashable, Sendable, Codable {
  /// Channels d after the reduction before the covariance.
  public var dimension: Int
  /// What is made of the covariance.
  public var normalization: CovarianceNormalization

  /// A head with d channels.
  public init(dimension: Int, normalization: CovarianceNormalization) {
    (self.dimension, self.normalization) = (dimension, normalization)
  }

  /// Length of the vector that the classifier sees.
  public var representationSize: Int { dimension * (dimension + 1) / 2 }
}

/// Everything that decides a network's structure and what its images must look like.
public struct NetworkConfiguration: Hashable, Sendable, Codable {
  /// What makes the feature maps, as torchvision and timm call it: `resnet50`, `mobilenet_v2`.
  public var backbone: String
  /// Whose code it follows.
  public var flavour: Flavour
  /// How feature maps become a vector: by their covariance, or by global average pooling where there is none.
  public var covariance: CovarianceHead?
  /// Results of the classifier.
  public var classes: Int
  /// What the images must look like.
  public var input: EvaluationTransform

  /// A configuration.
  public init(
    backbone: String, flavour: Flavour = .pytorch, covariance: CovarianceHead? = nil, classes: Int,
    input: EvaluationTransform
  ) {
    (self.backbone, self.flavour, self.covariance) = (backbone, flavour, covariance)
    (self.classes, self.input) = (classes, input)
  }

  /// What is made of the covariance; `nil` with global average pooling.
  public var normalization: CovarianceNormalization? { covariance?.normalization }
  /// Channels of the images.
  public var inputChannels: Int { input.channels }
  /// Height and width of the images that the network is made for.
  public var imageSize: Int { input.outputSize.height }
  /// The shape of one image, as a batch: `[1, C, H, W]`.
  public var inputShape: Shape { [1, inputChannels, input.outputSize.height, input.outputSize.width] }
  /// Whether its backbone is made for images of some tens of pixels, as CIFAR's and Fashion-MNIST's are, whatever it is given.
  public var isSmall: Bool {
    (Zoo.architecture(of: backbone)?.input(backbone, channels: inputChannels) ?? input).outputSize.height < 64
  }

  /// What it is called: `resnet50-fastmpn`, with tags for what departs from the PyTorch release, `.mindspore` and `.d128`.
  /// Class count, input and a normalisation's options are not part of it.
  public var name: String {
    var name = backbone
    if covariance != nil { name += "-\(headName)" }
    if flavour != .pytorch { name += ".\(flavour.rawValue)" }
    let released = Zoo.architecture(of: backbone)?.release(backbone, flavour: flavour)
    if let covariance, covariance.dimension != released?.dimension {
      name += ".d\(covariance.dimension)"
    }
    return name
  }

  /// What the pooling is called in names of networks: `gap`, `fastmpn`, or a normalisation's own name.
  public var headName: String { PublishedHead(normalization)?.rawValue ?? normalization?.name ?? "gap" }

  /// The backbone and the pooling in prose: `ResNet-50 with Fast-MPN covariance pooling, d = 256`.
  public var title: String {
    let pooling =
      covariance.map { covariance in
        "\(PublishedHead(normalization)?.title ?? covariance.normalization.name) covariance pooling, d = \(covariance.dimension)"
      } ?? "global average pooling"
    return "\(Zoo.architecture(of: backbone)?.title(backbone) ?? backbone) with \(pooling)"
  }

  /// The architecture whose backbone this is.
  /// - Precondition: there is one, as for every configuration that the zoo makes.
  public var architecture: any Architecture.Type {
    guard let architecture = Zoo.architecture(of: backbone) else {
      preconditionFailure("no architecture of the zoo has a backbone '\(backbone)'")
    }
    return architecture
  }
}

extension NetworkConfiguration {
  /// The names of the classes: those a checkpoint has, or those of the data set that networks of this kind are published
  /// for; `nil` where neither says.
  /// - Parameter metadata: the checkpoint's.
  public func classNames(metadata: [String: String] = [:]) -> [String]? {
    if let names = ClassNames.decode(metadata["class_names"]), names.count == classes { return names }
    switch (isSmall, inputChannels, classes) {
    case (false, 3, 1000): return ImageNet.classNames
    // The MindSpore releases have an output that no label ever names.
    case (false, 3, 1001): return ImageNet.classNames + ["(unused)"]
    case (true, 3, 10): return ClassNames.cifar10
    case (true, 1, 10): return ClassNames.fashionMNIST
    default: return nil
    }
  }
}
