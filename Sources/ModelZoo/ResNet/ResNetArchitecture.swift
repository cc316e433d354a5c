import CovariancePooling
import Vision

/// Residual networks: four stages for 224 px, three for CIFAR's 32 px.
public enum ResNetArchitecture: Architecture {
  public static let backbones = ResNetLayout.named.map(\.name)

  public static func title(_ backbone: String) -> String { "ResNet-\(backbone.dropFirst("resnet".count))" }

  /// d = 256 and 1000 classes in PyTorch's flavour, 128 and 1001 in MindSpore's; d = 64 and 10 classes for CIFAR.
  public static func release(_ backbone: String, flavour: Flavour) -> (dimension: Int, classes: Int)? {
    switch (ResNetLayout.named(backbone)?.isSmall, flavour) {
    case (false?, .pytorch): (256, 1000)
    case (false?, .mindspore): (128, 1001)
    case (true?, .pytorch): (64, 10)
    default: nil
    }
  }

  public static func input(_ backbone: String, channels: Int) -> EvaluationTransform {
    switch (ResNetLayout.named(backbone)?.isSmall, channels) {
    case (true?, 1): .fashionMNIST
    case (true?, _): .cifar
    case (_, 1): .imageNetGrey
    default: .imageNet
    }
  }

  public static func network<Scalar: RealScalar>(_ configuration: NetworkConfiguration) -> any Network<Scalar> {
    ResNet<Scalar>(configuration)
  }

  public static let marks = ["conv1.weight", "layer1.0.conv1.weight"]

  public static func headNames(_ configuration: NetworkConfiguration) -> HeadNames {
    let isLinear = configuration.covariance == nil && ResNetLayout.of(configuration).isSmall
    return HeadNames(reduction: "layer_reduce", norm: "layer_reduce_bn", classifier: isLinear ? "linear" : "fc")
  }

  public static func flavour(of names: some Collection<String>) -> Flavour {
    names.contains { $0.hasSuffix(".gamma") || $0.hasSuffix(".moving_mean") } ? .mindspore : .pytorch
  }

  public static func tensorName(_ name: String, flavour: Flavour) -> String? {
    flavour == .mindspore
      ? MindSporeNames.pytorchName(name)
      : name.hasSuffix("num_batches_tracked") || name == "n_averaged" ? nil : name
  }

  public static func backbone(of shapes: [String: Shape]) -> String? {
    let blocks = (1...4).map { stage in
      (0..<100).prefix { shapes["layer\(stage).\($0).conv1.weight"] != nil }.count
    }.filter { $0 > 0 }
    let isBottleneck = shapes["layer1.0.conv3.weight"] != nil
    return ResNetLayout.named.first { $0.isBottleneck == isBottleneck && $0.blocks == blocks }?.name
  }
}

/// Blocks and channels of a residual network.
struct ResNetLayout: Sendable {
  let name: String
  var isBottleneck = false
  /// Blocks of each stage.
  let blocks: [Int]

  /// Whether it is one of the networks for 32 px (He et al. 2015, §4.2), with a 3×3 stem, rather than for 224 px (table 1).
  var isSmall: Bool { blocks.count == 3 }
  /// Channels of each stage, before a bottleneck's expansion.
  var channels: [Int] { isSmall ? [16, 32, 64] : [64, 128, 256, 512] }
  var expansion: Int { isBottleneck ? 4 : 1 }
  var outputChannels: Int { channels[channels.count - 1] * expansion }

  /// The layouts there are; of CIFAR's with depth 6 n + 2, three stages of n blocks.
  static let named: [ResNetLayout] =
    [
      ResNetLayout(name: "resnet18", blocks: [2, 2, 2, 2]), ResNetLayout(name: "resnet34", blocks: [3, 4, 6, 3]),
      ResNetLayout(name: "resnet50", isBottleneck: true, blocks: [3, 4, 6, 3]),
      ResNetLayout(name: "resnet101", isBottleneck: true, blocks: [3, 4, 23, 3]),
    ] + [3, 5, 7, 9].map { ResNetLayout(name: "resnet\(6 * $0 + 2)", blocks: [$0, $0, $0]) }

  static func named(_ name: String) -> ResNetLayout? { named.first { $0.name == name } }

  static func of(_ configuration: NetworkConfiguration) -> ResNetLayout {
    guard let layout = named(configuration.backbone) else {
      preconditionFailure("no residual network is called '\(configuration.backbone)'")
    }
    return layout
  }
}
