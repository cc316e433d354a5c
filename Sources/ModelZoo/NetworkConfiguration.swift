import CovariancePooling

/// How the last feature map becomes a vector: global average pooling or one of the covariance heads.
public enum Head: String, CaseIterable, Hashable, Sendable, Codable {
  /// Global average pooling.
  case gap
  /// Covariance and Newton–Schulz iterations.
  case fastmpn
  /// Covariance and its exact square root.
  case mpn
  /// Covariance, with adaptive channel dropout in training.
  case dropcov

  /// What papers call a network with this head.
  public var title: String {
    switch self {
    case .gap: "GAP"
    case .fastmpn: "Fast-MPN"
    case .mpn: "MPN"
    case .dropcov: "DropCov"
    }
  }
}

extension Head {
  /// What the head makes of its covariance; `nil` for GAP, which takes none.
  public var normalization: CovarianceNormalization? {
    switch self {
    case .gap: nil
    case .fastmpn: .newtonSchulz()
    case .mpn: .exact()
    case .dropcov: .dropCov
    }
  }
}

/// Whose code a network follows where the published codes differ: padding, BatchNorm's eps, names in checkpoints.
public enum Flavour: String, CaseIterable, Hashable, Sendable, Codable {
  /// The PyTorch releases.
  case pytorch
  /// The MindSpore releases.
  case mindspore
}

/// Everything that decides a network's structure.
public struct NetworkConfiguration: Hashable, Sendable, Codable {
  /// Networks that share their layout.
  public enum Family: String, Hashable, Sendable, Codable {
    /// 7×7 stem, four stages, for 224 px (He et al. 2015, table 1).
    case imageNet
    /// 3×3 stem, three stages, for 32 px (He et al. 2015, §4.2).
    case cifar
  }

  /// The layout.
  public var family: Family
  /// Layers with weights, as in the name: 18, 20, 50, …
  public var depth: Int
  /// How features become a vector.
  public var head: Head
  /// Channels d after the reduction before the covariance; 0 with GAP.
  public var dimension: Int
  /// Results of the classifier.
  public var classes: Int
  /// Channels of the images.
  public var inputChannels: Int
  /// Whose code it follows.
  public var flavour: Flavour
  /// What a covariance head makes of its covariance: the head's own, or another; `nil` with GAP.
  public var normalization: CovarianceNormalization?

  /// A network as released: d = 256 and 1000 classes for ImageNet in PyTorch's flavour, 128 and 1001 in MindSpore's; d = 64
  /// and 10 classes for CIFAR.
  /// - Returns: `nil` where no such depth exists in the two families.
  public init?(depth: Int, head: Head, flavour: Flavour = .pytorch) {
    if ResidualLayout.imageNet[depth] != nil {
      family = .imageNet
      dimension = flavour == .pytorch ? 256 : 128
      classes = flavour == .pytorch ? 1000 : 1001
    } else if ResidualLayout.cifar[depth] != nil, flavour == .pytorch {
      family = .cifar
      (dimension, classes) = (64, 10)
    } else {
      return nil
    }
    if head == .gap { dimension = 0 }
    (self.depth, self.head, self.flavour) = (depth, head, flavour)
    (inputChannels, normalization) = (3, head.normalization)
  }

  /// Length of the vector that the classifier sees.
  public var representationSize: Int {
    head == .gap ? layout.outputChannels : dimension * (dimension + 1) / 2
  }

  var layout: ResidualLayout {
    guard let layout = (family == .imageNet ? ResidualLayout.imageNet : ResidualLayout.cifar)[depth] else {
      preconditionFailure("no \(family) network has \(depth) layers")
    }
    return layout
  }
}

/// Blocks and channels of a residual network.
struct ResidualLayout {
  var isBottleneck = false
  /// Blocks of each stage.
  var blocks: [Int]
  /// Channels of each stage, before a bottleneck's expansion.
  var channels: [Int]

  var expansion: Int { isBottleneck ? 4 : 1 }
  var outputChannels: Int { channels[channels.count - 1] * expansion }

  static let imageNet: [Int: ResidualLayout] = {
    let channels = [64, 128, 256, 512]
    return [
      18: ResidualLayout(blocks: [2, 2, 2, 2], channels: channels),
      34: ResidualLayout(blocks: [3, 4, 6, 3], channels: channels),
      50: ResidualLayout(isBottleneck: true, blocks: [3, 4, 6, 3], channels: channels),
      101: ResidualLayout(isBottleneck: true, blocks: [3, 4, 23, 3], channels: channels),
    ]
  }()

  /// Depth 6 n + 2: three stages of n blocks.
  static let cifar: [Int: ResidualLayout] = Dictionary(
    uniqueKeysWithValues: [3, 5, 7, 9].map {
      (6 * $0 + 2, ResidualLayout(blocks: [$0, $0, $0], channels: [16, 32, 64]))
    })
}
